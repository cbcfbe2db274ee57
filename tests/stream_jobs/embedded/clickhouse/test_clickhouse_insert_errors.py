"""An insert that was not stored is never reported as stored, whatever stage it failed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(sql_server: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=sql_server, autogenerate_session_id=False) as admin:
        admin.command("CREATE DATABASE insert_errors")
    with clickhouse_connect.get_client(
        dsn=sql_server, database="insert_errors", autogenerate_session_id=False
    ) as client:
        yield client


def code_of(error: DatabaseError) -> int | None:
    return error.code


def count(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])


def test_a_violated_constraint_is_an_error_and_stores_nothing(client: Client) -> None:
    client.command(
        "CREATE TABLE bounded (a Int64, CONSTRAINT positive CHECK a > 0)"
        " ENGINE = MergeTree ORDER BY a"
    )
    with pytest.raises(DatabaseError) as raised:
        client.insert_arrow("bounded", pa.table({"a": [1, -1]}))
    assert code_of(raised.value) == 469
    assert count(client, "bounded") == 0


def test_a_throwing_view_is_an_error_and_the_retry_heals_it(client: Client) -> None:
    for statement in (
        "CREATE TABLE source (a Int64) ENGINE = MergeTree ORDER BY a"
        " SETTINGS non_replicated_deduplication_window = 100",
        "CREATE TABLE target (a Int64) ENGINE = MergeTree ORDER BY a"
        " SETTINGS non_replicated_deduplication_window = 100",
        "CREATE MATERIALIZED VIEW mover TO target AS"
        " SELECT a + throwIf(a > 1, 'the view fails') AS a FROM source",
    ):
        client.command(statement)
    settings = {
        "async_insert": 0,
        "insert_deduplication_token": "batch-1",
        "deduplicate_blocks_in_dependent_materialized_views": 1,
    }
    rows = pa.table({"a": [1, 2, 3]})
    with pytest.raises(DatabaseError) as raised:
        client.insert_arrow("source", rows, settings=settings)
    assert code_of(raised.value) == 395

    client.command("ALTER TABLE mover MODIFY QUERY SELECT a FROM source")
    client.insert_arrow("source", rows, settings=settings)
    client.insert_arrow("source", rows, settings=settings)
    assert (count(client, "source"), count(client, "target")) == (3, 3)


def test_too_many_partitions_in_one_insert_are_an_error(client: Client) -> None:
    client.command("CREATE TABLE parted (a Int64) ENGINE = MergeTree PARTITION BY a ORDER BY a")
    with pytest.raises(DatabaseError) as raised:
        client.insert_arrow("parted", pa.table({"a": list(range(500))}))
    assert code_of(raised.value) == 252
    assert count(client, "parted") == 0


def test_a_full_memory_limit_is_an_error_and_stores_nothing(client: Client) -> None:
    client.command("CREATE TABLE heavy (s String) ENGINE = MergeTree ORDER BY s")
    rows = pa.table({"s": ["x" * 1000] * 50_000})
    with pytest.raises(DatabaseError) as raised:
        client.insert_arrow("heavy", rows, settings={"max_memory_usage": 10_000_000})
    assert code_of(raised.value) == 241
    assert count(client, "heavy") == 0


def test_bodies_leave_no_files_behind(sql_server: str, client: Client) -> None:
    with pytest.raises(DatabaseError):
        client.insert("bounded", [[-5]], column_names=["a"])
    (path,) = client.query("SELECT path FROM system.disks WHERE name = 'default'").result_rows[0]
    assert not list(Path(path).parent.glob("insert-*"))
