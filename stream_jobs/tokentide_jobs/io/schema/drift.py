"""What a database lacks although its version table says that it was made.

Somebody dropped a table, a restore was incomplete, a view was removed by hand: the recorded files
alone would call that up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client

from tokentide_jobs.io.schema.sql_objects import SqlObjects, objects_of

__all__ = ["Drift", "find_drift"]


@dataclass(frozen=True, slots=True)
class Drift:
    """What is missing."""

    objects: frozenset[str]
    """Tables, views and functions."""
    columns: tuple[str, ...]
    """Of tables that exist, as `table.column`."""


def find_drift(client: Client, database: str, statements: Iterable[str]) -> Drift:
    """Compare what statements make with what exists; what exists besides is nobody's business."""
    expected = objects_of(statements)
    existing = _existing(client, database)
    present = existing.names
    columns = sorted(
        f"{table}.{column}"
        for table, wanted in expected.columns.items()
        if table in existing.columns
        for column in wanted - existing.columns[table]
    )
    return Drift(frozenset(expected.names - present), tuple(columns))


def _existing(client: Client, database: str) -> SqlObjects:
    rows = _rows(
        client,
        "SELECT t.name, groupArray(c.name) FROM system.tables AS t LEFT JOIN system.columns AS c "
        "ON c.database = t.database AND c.table = t.name "
        "WHERE t.database = {database:String} GROUP BY t.name",
        database,
    )
    functions = _rows(
        client, "SELECT name FROM system.functions WHERE origin = 'SQLUserDefined'", None
    )
    return SqlObjects(
        columns={str(name): set(columns) for name, columns in rows},
        functions={str(name) for (name,) in functions},
    )


def _rows(client: Client, query: str, database: str | None) -> Sequence[Sequence[Any]]:
    parameters = None if database is None else {"database": database}
    return client.query(query, parameters=parameters).result_rows
