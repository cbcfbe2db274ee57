"""What a database lacks although its version table says that it was made.

A table was dropped, a restore was incomplete, a view was removed by hand: the recorded files alone
would call that up to date.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.tables import SCHEMA_DEFINITIONS
from tokentide_jobs.io.schema.definitions import (
    Rows,
    changes,
    existing_definitions,
    recorded_definitions,
)
from tokentide_jobs.io.schema.sql_objects import objects_of

__all__ = ["Drift", "find_drift", "settled_drift"]

_ALTERING_S: Final = 3.0


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

    @property
    def is_empty(self) -> bool:
        """Whether everything is there and as it was made."""
        return not (self.objects or self.columns or self.changed)


def settled_drift(look: Callable[[], Drift]) -> Drift:
    """Look, and again some seconds later if anything differs.

    A newer release may be altering it this moment, and notes that seconds later. For a caller that
    acts once: who looks again and again waits for nothing.

    Args:
        look: Compares the database, as `find_drift`.
    """
    drift = look()
    if drift.is_empty:
        return drift
    time.sleep(_ALTERING_S)
    return look()


def find_drift(
    rows: Rows, database: str, statements: Iterable[str], due: Collection[str] = ()
) -> Drift:
    """Compare what statements make with what exists; what exists besides is ignored.

    Bodies of functions are compared in the words of the server, which keeps them as they were
    written. Tables and views it does not (functions in a view are replaced by their bodies): they
    are compared with what the server reported of them when they were made.

    Args:
        rows: Asks the server; four times.
        database: Name of the database.
        statements: What was run, in order.
        due: Tables and views that other files are about to change, or have changed and did not
            live to note it: they are not compared.
    """
    statements = tuple(statements)
    expected = objects_of(statements)
    existing = existing_definitions(rows, database)
    columns = sorted(
        f"{table}.{column}"
        for table, wanted in expected.columns.items()
        if table in existing
        for column in wanted - existing[table].columns.keys()
    )
    wanted = _wanted_bodies(rows, statements)
    bodies = _existing_bodies(rows, wanted)
    changed_functions = {name for name, body in bodies.items() if body != wanted[name]}
    present = existing.keys() | bodies.keys()
    has_record = SCHEMA_DEFINITIONS in existing
    recorded = recorded_definitions(rows, database) if has_record else {}
    compared = (recorded.keys() & existing.keys()) - set(due)
    texts = {name: list(changes(name, recorded[name], existing[name])) for name in compared}
    views = {name for name, found in texts.items() if found and recorded[name].is_view}
    changed = [text for name in sorted(texts.keys() - views) for text in texts[name]]
    return Drift(
        frozenset(expected.names - present | changed_functions | views & expected.names),
        tuple(columns),
        tuple(changed),
    )


def _wanted_bodies(rows: Rows, statements: Iterable[str]) -> dict[str, str]:
    """Return the bodies of functions as their files have them, in the form of the server."""
    texts = {name: one for one in statements for name in objects_of([one]).functions}
    query = "SELECT arrayMap(one -> formatQuerySingleLine(one), {statements:Array(String)})"
    ((formatted,),) = rows(query, {"statements": list(texts.values())})
    return {name: _body(text) for name, text in zip(texts, formatted, strict=True)}


def _existing_bodies(rows: Rows, names: Collection[str]) -> dict[str, str]:
    query = (
        "SELECT name, formatQuerySingleLine(create_query) FROM system.functions "
        "WHERE origin = 'SQLUserDefined' AND name IN {names:Array(String)}"
    )
    return {str(name): _body(text) for name, text in rows(query, {"names": list(names)})}


def _body(statement: str) -> str:
    """Return what follows `CREATE … FUNCTION name … AS`."""
    return statement.partition(" AS ")[2]
