"""What a database lacks although its version table says that it was made.

Somebody dropped a table, a restore was incomplete, a view was removed by hand: the recorded files
alone would call that up to date.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client

from tokentide_jobs.io.schema.definitions import (
    changes,
    existing_definitions,
    recorded_definitions,
)
from tokentide_jobs.io.schema.sql_objects import SqlObjects, objects_of

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
    existing = _existing(client, database)
    present = existing.names
    columns = sorted(
        f"{table}.{column}"
        for table, wanted in expected.columns.items()
        if table in existing.columns
        for column in wanted - existing.columns[table]
    )
    functions = _changed_functions(client, statements)
    recorded = recorded_definitions(client, database)
    made = {name: one for name, one in recorded.items() if name not in due}
    now = existing_definitions(client, database, made)
    texts = {name: list(changes(name, made[name], one)) for name, one in now.items()}
    views = {name for name, said in texts.items() if said and made[name].is_view}
    changed = [text for name in sorted(texts.keys() - views) for text in texts[name]]
    return Drift(
        frozenset(expected.names - present | functions | views & expected.names),
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


def _existing(client: Client, database: str) -> SqlObjects:
    rows = _rows(
        client,
        "SELECT t.name, groupArray(c.name) FROM system.tables AS t LEFT JOIN system.columns AS c "
        "ON c.database = t.database AND c.table = t.name "
        "WHERE t.database = {database:String} GROUP BY t.name",
        database=database,
    )
    functions = _rows(client, "SELECT name FROM system.functions WHERE origin = 'SQLUserDefined'")
    return SqlObjects(
        columns={str(name): set(columns) for name, columns in rows},
        functions={str(name) for (name,) in functions},
    )


def _rows(client: Client, query: str, **parameters: str) -> Sequence[Sequence[Any]]:
    return client.query(query, parameters=parameters or None).result_rows
