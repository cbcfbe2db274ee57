"""What a test left in a lent database does not reach the next."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from tests.databases import migrated
from tokentide_jobs.core.tables import SCHEMA_MIGRATIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse

pytestmark = pytest.mark.integration

ROW = pa.table(
    {
        "window_start": pa.array([int(time.time())], pa.uint32()),
        "service": ["chat"],
        "events": pa.array([7], pa.uint64()),
    }
)


def events(store: ClickHouse) -> list[int]:
    tables = ("windows_10s", "windows_1m", "windows_1d")
    return [
        store.rows(f"SELECT sum(events) FROM {store.database}.{table}")[0][0] for table in tables
    ]


def test_a_database_is_lent_again_without_rows_and_without_the_tokens_of_inserts(
    sql_server: str,
) -> None:
    with migrated(sql_server) as first:
        for _ in range(2):
            first.insert("windows_10s", ROW, "token")
            assert events(first) == [7, 7, 7]
    with migrated(sql_server) as second:
        assert second.database == first.database
        assert events(second) == [0, 0, 0]
        second.insert("windows_10s", ROW, "token")
        assert events(second) == [7, 7, 7]
        recorded = second.rows(f"SELECT count() FROM {second.database}.{SCHEMA_MIGRATIONS}")
        assert recorded[0][0] > 0


def test_a_database_whose_tables_were_changed_is_dropped(sql_server: str) -> None:
    with migrated(sql_server) as first:
        first.command(f"ALTER TABLE {first.database}.windows_10s REMOVE TTL")
    with migrated(sql_server) as second:
        assert second.database != first.database
        left = second.rows(f"SELECT count() FROM system.databases WHERE name = '{first.database}'")
        assert left[0][0] == 0
