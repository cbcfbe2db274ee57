"""What a database lacks although its version table says that it was made.

Somebody dropped a table, a restore was incomplete, a view was removed by hand: the recorded files
alone would call that up to date.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client

from tokentide_jobs.core.tables import SCHEMA_DEFINITIONS
from tokentide_jobs.io.schema.definitions import (
    changes,
    existing_definitions,
    recorded_definitions,
)
from tokentide_jobs.io.schema.sql_objects import objects_of

__all__ = ["Drift", "find_drift"]


@dataclass(frozen=True, slots=True)
class Drift:
    """What is missing, or something else."""

    objects: frozenset[str]
    """Tables, views and functions that are gone, functions with another body, and views with
    another text."""
    columns: tuple[str, ...]
    """Of tables that exist, as `table.column`."""
    changed: tuple[str, ...]
    """Tables and materialized views that are not as they were made, in words."""


def find_drift(
    client: Client, database: str, statements: Iterable[str], due: Collection[str] = ()
) -> Drift:
    """Compare what statements make with what exists; what exists besides is nobody's business.

    Bodies of functions are compared in the words of the server, which keeps them as they were
    written. Tables and views it does not (functions in a view are replaced by their bodies): they
    are compared with what the server said of them when they were made.

    Args:
        client: Any client.
        database: Name of the database.
        statements: What was run, in order.
        due: Tables and views that other files are about to change, or have changed and did not
            live to note it: they are not compared.
    """
    statements = tuple(statements)
    expected = objects_of(statements)
    existing = existing_definitions(client, database)
    columns = sorted(
        f"{table}.{column}"
        for table, wanted in expected.columns.items()
        if table in existing
        for column in wanted - existing[table].columns.keys()
    )
    present = existing.keys() | _functions(client)
    changed_functions = _changed_functions(client, statements)
    has_record = SCHEMA_DEFINITIONS in existing
    recorded = recorded_definitions(client, database) if has_record else {}
    compared = (recorded.keys() & existing.keys()) - set(due)
    texts = {name: list(changes(name, recorded[name], existing[name])) for name in compared}
    views = {name for name, said in texts.items() if said and recorded[name].is_view}
    changed = [text for name in sorted(texts.keys() - views) for text in texts[name]]
    return Drift(
        frozenset(expected.names - present | changed_functions | views & expected.names),
        tuple(columns),
        tuple(changed),
    )


def _changed_functions(client: Client, statements: Iterable[str]) -> set[str]:
    wanted = {
        name: _body(
            _rows(client, "SELECT formatQuerySingleLine({statement:String})", statement=one)
        )
        for one in statements
        for name in objects_of([one]).functions
    }
    query = (
        "SELECT formatQuerySingleLine(create_query) FROM system.functions "
        "WHERE origin = 'SQLUserDefined' AND name = {name:String}"
    )
    found = {name: _rows(client, query, name=name) for name in wanted}
    return {name for name, rows in found.items() if rows and _body(rows) != wanted[name]}


def _body(rows: Sequence[Sequence[Any]]) -> str:
    """Return what follows `CREATE … FUNCTION name … AS`."""
    return str(rows[0][0]).partition(" AS ")[2]


def _functions(client: Client) -> set[str]:
    rows = _rows(client, "SELECT name FROM system.functions WHERE origin = 'SQLUserDefined'")
    return {str(name) for (name,) in rows}


def _rows(client: Client, query: str, **parameters: str) -> Sequence[Sequence[Any]]:
    return client.query(query, parameters=parameters or None).result_rows
