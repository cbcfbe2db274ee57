"""What a test left in a lent database does not reach the next."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from tests.databases import migrated
from tokentide_jobs.core.tables import SCHEMA_MIGRATIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.schema.migrations import migrate

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


def test_a_database_that_was_changed_is_lent_again_as_its_migrations_made_it(
    sql_server: str, sql_client: Client
) -> None:
    with migrated(sql_server) as first:
        name = first.database
        for statement in (
            "ALTER TABLE {}.windows_10s REMOVE TTL",
            "ALTER TABLE {}.raw_changes DROP COLUMN actor",
            "DROP TABLE {}.windows_1h",
            "DROP VIEW {}.requests",
            "CREATE OR REPLACE VIEW {}.runs AS SELECT 1 AS one",
            "CREATE TABLE {}.ours (a Int64) ENGINE = MergeTree ORDER BY a",
            "TRUNCATE TABLE {}.schema_migrations",
        ):
            first.command(statement.format(name))
    with migrated(sql_server) as second, migrated(sql_server) as copied:
        assert second.database == name != copied.database
        for store in (second, copied):
            assert migrate(sql_client, store.database) == []
            store.insert("windows_10s", ROW, "token")
            assert events(store) == [7, 7, 7]
            tables = "SELECT count() FROM system.tables WHERE database = '{}'"
            (made,), (found,) = (
                sql_client.query(tables.format(one)).result_rows[0]
                for one in (sql_client.database, store.database)
            )
            assert found == made
    left = sql_client.query("SELECT name FROM system.databases WHERE startsWith(name, 'tests_')")
    assert len(left.result_rows) == 2, "that of this module, and one that waits"
