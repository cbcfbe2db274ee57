"""Migrated databases of the shared server, dropped when they are no longer needed.

The engine keeps some 35 MB for the tables of each, and a session has tens of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect

from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.schema.migrations import migrate


@contextmanager
def migrated(server: str, database: str) -> Iterator[ClickHouse]:
    """Give a store on a fresh database of this name."""
    with clickhouse_connect.get_client(dsn=server, autogenerate_session_id=False) as admin:
        migrate(admin, database)
        store = ClickHouse(server, database)
        try:
            yield store
        finally:
            store.close()
            admin.command(f"DROP DATABASE IF EXISTS {database} SYNC")
