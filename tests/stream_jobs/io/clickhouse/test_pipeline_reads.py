"""What the store says of the pipeline: shares of the last minutes, and services fallen silent."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tokentide_jobs.core.alert.pipeline import PartOfWhole
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.pipeline_reads import read_shares, read_silent

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration


def test_what_is_unpriced_lost_and_silent_is_read_from_what_is_stored(
    sql_server: str, sql_client: Client
) -> None:
    assert sql_client.database is not None
    for table in ("raw_stats", "windows_1m"):
        sql_client.command(f"TRUNCATE TABLE {table}")
    now_s = int(time.time())
    sql_client.command(
        "INSERT INTO windows_1m (window_start, requests, unpriced) "
        f"SELECT toDateTime({now_s}) - 600, 100, 30"
    )
    # Two producers: one lost 40 of 1,000 events long ago and 200 since, the other began since.
    sql_client.command(
        "INSERT INTO raw_stats (producer_id, service, started_at, ingested_at, uptime_ms, emitted, "
        f"dropped, failed) SELECT producer, 'chat', toDateTime({now_s}) - ago, "
        f"toDateTime({now_s}) - ago, uptime, emitted, dropped, failed FROM values("
        "'producer String, ago UInt32, uptime Float64, emitted UInt64, dropped UInt64, "
        "failed UInt64', "
        "('a', 600, 1e8, 1000, 40, 0), ('a', 30, 1e8, 3000, 140, 100), ('b', 30, 6e5, 500, 0, 50))"
    )
    # A service that reported every half minute for ten hours, until half an hour ago; and others
    # that report still, that are young, or that report now and then.
    for service, begin, end, every in (
        ("gone", 39_000, 1_980, 30), ("here", 39_000, 60, 30), ("young", 9_000, 1_980, 30),
        ("rare", 39_000, 1_980, 1_200),
    ):  # fmt: skip
        sql_client.command(
            "INSERT INTO raw_stats (producer_id, service, started_at, ingested_at) SELECT "
            f"'{service}', '{service}', toDateTime({now_s - begin} + number * {every}) AS at, at "
            f"FROM numbers({(begin - end) // every})"
        )
    with closing(ClickHouse(sql_server, sql_client.database)) as store:
        shares = read_shares(store, now_s * 10**6)
        silent = read_silent(store, now_s * 10**6, 900 * 10**6)
    assert (shares["unpriced"], shares["lost"]) == (PartOfWhole(30, 100), PartOfWhole(250, 2_500))
    assert silent == [("gone", (now_s - 2_010) * 10**6)]
