"""Which tables of the engine's own accounts that only read may read, and which columns stay hidden.

Elsewhere in `system` stand other people's statements, paths of the machine and the inside of the
process. What is not named here is refused, so a table that a new engine brings is refused until it
was reviewed. Decided by the names in the engine's syntax tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..exceptions import ClickHouseError
from .statement import Statement

DATABASE: Final = "system"

READABLE: Final[Mapping[str, frozenset[str]]] = {
    "databases": frozenset({"data_path", "metadata_path"}),
    "disks": frozenset({"path", "cache_path"}),
    "parts": frozenset({"path"}),
    "parts_columns": frozenset({"path"}),
    "tables": frozenset({"data_paths", "metadata_path"}),
    **dict.fromkeys(
        (
            *("columns", "constraints", "data_skipping_indices", "projections"),
            *("functions", "aggregate_function_combinators", "table_functions", "keywords"),
            *("data_type_families", "formats", "codecs", "collations", "time_zones"),
            *("database_engines", "table_engines", "data_skipping_index_types"),
            *("settings", "merge_tree_settings", "current_roles", "enabled_roles"),
            *("events", "metrics"),
            *("one", "numbers", "numbers_mt", "zeros", "zeros_mt"),
        ),
        frozenset[str](),
    ),
}
"""Tables that may be read, and the columns of each that may not: they hold paths."""

_BY_NAME: Final = frozenset(
    {
        *("merge", "loop"),
        *("timeseriesdata", "timeseriesmetricfamilies", "timeseriesmetrics"),
        *("timeseriessamples", "timeseriesselector", "timeseriestags"),
    }
)
"""Table functions that find tables by a text, which no syntax tree shows."""
_BY_NAME_FAMILIES: Final = ("mergetree", "prometheus")
"""So do all whose names begin so, those of later engines too."""

_SHOW: Final = "Show"
_OTHERS_QUERIES: Final = "ShowProcesslistQuery"


def check_system_tables(statement: Statement) -> None:
    """Refuse what an account that only reads may not see of the engine's own tables.

    Raises:
        ClickHouseError: 497, with what to do instead where there is something.
    """
    if statement.is_only_parsed:
        return
    if statement.kind == _OTHERS_QUERIES:
        raise _refused("SHOW PROCESSLIST shows statements of other people")
    outlined = statement.outline
    if statement.kind.startswith(_SHOW) and (" WHERE " in outlined or "(" in outlined):
        # The engine rewrites it to a query of its own, which the tree does not hold.
        raise _refused("SHOW may not carry an expression: use LIKE, or SELECT from system.tables")
    for name in statement.names:
        lowered = name.lower()
        if lowered in _BY_NAME or lowered.startswith(_BY_NAME_FAMILIES):
            raise _refused(f"{name}() may reach tables of the engine: name the tables")
    hidden: set[str] = set()
    for table in _system_tables(statement):
        if table not in READABLE:
            raise _refused(f"{DATABASE}.{table} shows the server or other people's statements")
        hidden |= READABLE[table]
    if not hidden:
        return
    is_whole = any(_table_of(name) in READABLE for name in statement.identifiers)
    # A natural join compares columns that are not named.
    is_whole = is_whole or statement.takes_all_columns or " NATURAL " in outlined
    if is_whole or _named(statement) & hidden:
        raise _refused(
            f"{', '.join(sorted(hidden))} show paths of the server: name the columns to read"
        )


def check_filter(statement: Statement) -> None:
    """Refuse a filter in a setting that could read a hidden column.

    It runs wherever its table is read: in a view, or in the query that SHOW becomes, neither of
    which names the table. So its own names decide.

    Raises:
        ClickHouseError: 497.
    """
    hidden = frozenset[str]().union(*READABLE.values())
    if statement.takes_all_columns or _named(statement) & hidden:
        raise _refused(f"a filter in a setting may name neither {', '.join(sorted(hidden))} nor *")


def _named(statement: Statement) -> set[str]:
    return {part for name in statement.identifiers for part in name.split(".")}


def _system_tables(statement: Statement) -> set[str]:
    names = statement.tables | statement.identifiers
    return {table for name in names if (table := _table_of(name)) is not None}


def _table_of(name: str) -> str | None:
    """Return the table in `system.table`; columns have names of one or three parts."""
    database, dot, table = name.partition(".")
    return table if database == DATABASE and dot and "." not in table else None


def _refused(why: str) -> ClickHouseError:
    return ClickHouseError(497, f"Not enough privileges: {why}; this account only reads")
