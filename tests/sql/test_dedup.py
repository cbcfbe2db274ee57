"""Retrying an insert under its token changes nothing at any level; a failed view heals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tokentide_jobs.io.clickhouse.client import ClickHouse

pytestmark = pytest.mark.integration

LEVELS = ("windows_10s", "windows_1m", "windows_1h", "windows_1d")
START = dt.datetime.now(dt.UTC).replace(hour=3, minute=0, second=0, microsecond=0)


def _insert(client: Client, table: str, token: str, rows: list[dict[str, Any]]) -> None:
    client.insert(
        table,
        [list(row.values()) for row in rows],
        column_names=list(rows[0]),
        settings={
            "async_insert": 0,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
            "insert_deduplication_token": token,
            "log_comment": token,
        },
    )


def _deltas(batch: int, windows: int = 500) -> list[dict[str, Any]]:
    return [
        {
            "window_start": START + dt.timedelta(seconds=10 * i),
            "tenant": ("acme", "globex")[i % 2],
            "requests": 1,
            "cost_pico_usd": 10**15 + i,
            "latency_hist": {batch % 5: 1, 7: 2},
        }
        for i in range(windows)
    ]


def test_a_batch_of_any_number_of_days_is_one_insert(sql_server: str, sql_client: Client) -> None:
    sql_client.command(
        "CREATE TABLE many_days (day Date) ENGINE = MergeTree PARTITION BY day ORDER BY day"
    )
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=number) for number in range(150)]
    database = str(sql_client.command("SELECT currentDatabase()"))
    with closing(ClickHouse(sql_server, database)) as store:
        store.insert("many_days", pa.table({"day": pa.array(days, pa.date32())}), "many-days")
    assert sql_client.query("SELECT uniqExact(day) FROM many_days").result_rows == [(150,)]
    sql_client.command("DROP TABLE many_days")


@pytest.fixture(autouse=True)
def empty_tables(sql_client: Client) -> Iterator[None]:
    for table in (*LEVELS, "raw_requests", "users_1d", "ingest_intents"):
        sql_client.command(f"TRUNCATE TABLE {table}")
    yield


def _totals(client: Client) -> set[tuple[Any, ...]]:
    """Return requests and cost of every level: one element when all levels agree."""
    sql = "SELECT sum(requests), sum(cost_pico_usd) FROM "
    return {tuple(client.query(sql + level).result_rows[0]) for level in LEVELS}


def test_a_repeated_batch_is_dropped_at_every_level(sql_client: Client) -> None:
    for batch in range(5):
        for _attempt in range(3):
            _insert(sql_client, "windows_10s", f"dedup/{batch}", _deltas(batch))
    cost = 5 * sum(10**15 + i for i in range(500))
    assert _totals(sql_client) == {(2500, cost)}
    histograms = [
        sql_client.query(f"SELECT sumMap(latency_hist) FROM {level}").result_rows[0][0]
        for level in LEVELS
    ]
    assert histograms == [{**dict.fromkeys(range(5), 500), 7: 5000}] * 4


def test_equal_rows_under_another_token_are_another_batch(sql_client: Client) -> None:
    _insert(sql_client, "windows_10s", "equal/1", _deltas(1))
    _insert(sql_client, "windows_10s", "equal/2", _deltas(1))
    assert {requests for requests, _cost in _totals(sql_client)} == {1000}


def test_merging_parts_changes_no_total(sql_client: Client) -> None:
    for batch in range(3):
        _insert(sql_client, "windows_10s", f"merge/{batch}", _deltas(batch))
    before = _totals(sql_client)
    for level in LEVELS:
        sql_client.command(f"OPTIMIZE TABLE {level} FINAL")
    assert _totals(sql_client) == before
    assert sql_client.command("SELECT count() FROM windows_1d") == 2
    assert sql_client.command("SELECT count() FROM windows_10s") == 500


@pytest.mark.parametrize("broken", LEVELS[1:])
def test_an_insert_that_failed_in_a_view_heals_when_it_is_repeated(
    sql_client: Client, broken: str
) -> None:
    definition = sql_client.query(
        "SELECT as_select FROM system.tables"
        f" WHERE database = currentDatabase() AND name = '{broken}_mv'"
    ).result_rows[0][0]
    failing = definition.replace(
        "AS window_start)", "AS window_start, requests + throwIf(requests > 0, 'boom') AS requests)"
    )
    assert failing != definition
    insert = (
        "INSERT INTO windows_10s (window_start, requests) SELECT"
        f" toDateTime('{START:%Y-%m-%d %H:%M:%S}', 'UTC') + 10 * number, 1 FROM numbers(500)"
    )
    settings = {
        "async_insert": 0,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "insert_deduplication_token": f"heal/{broken}",
    }
    sql_client.command(f"ALTER TABLE {broken}_mv MODIFY QUERY {failing}")
    try:
        with pytest.raises(DatabaseError, match="boom"):
            sql_client.command(insert, settings=settings)
    finally:
        sql_client.command(f"ALTER TABLE {broken}_mv MODIFY QUERY {definition}")
    for _attempt in range(2):
        sql_client.command(insert, settings=settings)
    assert _totals(sql_client) == {(500, 0)}


def test_raw_rows_and_distinct_users_survive_a_retry(sql_client: Client) -> None:
    rows = [
        {
            "event_id": f"018f0000-0000-7000-8000-{i:012x}",
            "started_at": START + dt.timedelta(milliseconds=i),
            "tenant": "acme",
            "service": "chat",
            "request_model": "m",
            "user_hash": f"u{i % 100}" if i % 2 else "",
            "conversation_id": f"c{i % 30}",
        }
        for i in range(1000)
    ]
    for _attempt in range(3):
        _insert(sql_client, "raw_requests", "raw/0-1000", rows)
    assert sql_client.command("SELECT count() FROM raw_requests") == 1000
    assert sql_client.command("SELECT count() FROM users_1d") == 1
    counted = "SELECT scope, users, conversations FROM users_by_day ORDER BY scope"
    assert sql_client.query(counted).result_rows == [
        (scope, 50, 30) for scope in ("all", "service", "tenant")
    ]


def test_the_first_intent_for_a_start_wins(sql_client: Client) -> None:
    for end in (100, 80, 120):
        _insert(
            sql_client,
            "ingest_intents",
            "intent/log/events/0/0",
            [{"log_id": "log", "topic": "events", "start_offset": 0, "end_offset": end}],
        )
    assert sql_client.query("SELECT end_offset FROM ingest_intents").result_rows == [(100,)]
