"""Migrated databases of the shared server, lent to one module or test after the other.

To empty all tables costs a tenth of what a migration does. One database waits for the next who
asks: the engine keeps some 45 MB for the tables of each. One whose tables or views were changed is
dropped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import clickhouse_connect

from tokentide_jobs.core.tables import SCHEMA_DEFINITIONS, SCHEMA_MIGRATIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.schema.migrations import migrate

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["drop_waiting_database", "migrated"]

Schema = dict[str, str]
"""The statement that would create each table and view, by name."""


@dataclass(frozen=True, slots=True)
class _Database:
    name: str
    schema: Schema


_waiting: dict[str, _Database] = {}
"""By server, one that is empty and as its migrations made it."""
_numbers = itertools.count(1)


@contextmanager
def migrated(server: str) -> Iterator[ClickHouse]:
    """Lend a store on a migrated database without rows; its name is in `store.database`."""
    with clickhouse_connect.get_client(dsn=server, autogenerate_session_id=False) as admin:
        lent = _waiting.pop(server, None) or _made(admin)
        store = ClickHouse(server, lent.name)
        try:
            yield store
        finally:
            store.close()
            if server not in _waiting and _schema(admin, lent.name) == lent.schema:
                _empty(admin, lent)
                _waiting[server] = lent
            else:
                admin.command(f"DROP DATABASE IF EXISTS {lent.name} SYNC")


def drop_waiting_database(server: str) -> None:
    """Drop the one that waits."""
    if waiting := _waiting.pop(server, None):
        with clickhouse_connect.get_client(dsn=server, autogenerate_session_id=False) as admin:
            admin.command(f"DROP DATABASE {waiting.name} SYNC")


def _made(admin: Client) -> _Database:
    name = f"tests_{next(_numbers)}"
    migrate(admin, name)
    return _Database(name, _schema(admin, name))


def _schema(admin: Client, database: str) -> Schema:
    rows = admin.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = {database:String}",
        parameters={"database": database},
    ).result_rows
    return {str(name): str(statement) for name, statement in rows}


def _empty(admin: Client, database: _Database) -> None:
    """Forget rows, and the tokens under which they were inserted."""
    for table, statement in database.schema.items():
        if statement.startswith("CREATE TABLE") and table not in (
            SCHEMA_MIGRATIONS,
            SCHEMA_DEFINITIONS,
        ):
            admin.command(f"TRUNCATE TABLE {database.name}.{table}")
