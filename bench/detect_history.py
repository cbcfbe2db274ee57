"""Question: how long does a first start take to learn two weeks of stored windows?

ClickHouse holds them as ingest leaves them, ten million rows of a minute and a series; the part of
the job that learns reads and learns what it would on a first start. With 500 keys each series has
calls in every minute; with 5,000 keys in one of nine, as the long tail of tenants does.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import clickhouse_connect
import psutil

from bench.progress import say
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.tables import DAY_S
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.jobs.detect.warm_up import learn_stored

DAYS: Final = 14
_ROWS_AT_ONCE: Final = 50_000
MODELS: Final = 9
_DATABASE: Final = "tokentide"

T = TypeVar("T")


def measure(days: int = DAYS) -> dict[str, object]:
    """Return what learning costs with 500 and 5,000 keys."""
    return {
        "keys_500": learned(tenants=50, active_one_of=1, days=days),
        "keys_5000": learned(tenants=500, active_one_of=9, days=days),
    }


def learned(tenants: int, active_one_of: int, days: int) -> dict[str, object]:
    """Fill a ClickHouse with history and learn it."""
    root = Path(tempfile.mkdtemp(prefix="tokentide-bench-"))
    until_s = int(time.time()) // DAY_S * DAY_S
    try:
        with ClickHouseProcess.start(root / "clickhouse") as server:
            client = clickhouse_connect.get_client(dsn=server.dsn, autogenerate_session_id=False)
            migrate(client)
            fill(client, until_s - days * DAY_S, until_s, tenants, active_one_of)
            rows = client.query(f"SELECT count() FROM {_DATABASE}.windows_1m").result_rows[0][0]
            say(f"{rows:,} rows of windows_1m are stored")
            client.close()
            store = ClickHouse(server.dsn, _DATABASE)
            decider = Decider(DetectRules(), ())
            decider.merge.closed_until_us = until_s * 1_000_000
            began_s, began_cpu_s = time.monotonic(), time.process_time()
            windows = learn_stored(decider, DetectRules(), store, _at_once)
            seconds = time.monotonic() - began_s
            store.close()
            return {
                "stored_rows": rows,
                "keys": decider.watched.keys,
                "windows_learned": windows,
                "seconds": round(seconds, 1),
                "cpu_s": round(time.process_time() - began_cpu_s, 1),
                "rss_mb": psutil.Process().memory_info().rss // 1_000_000,
            }
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _at_once(name: str, work: Callable[[], T]) -> T:
    say(name)
    return work()


def fill(
    client: clickhouse_connect.driver.client.Client,
    begin_s: int,
    end_s: int,
    tenants: int,
    of: int,
    call_pico_usd: int = 4 * 10**9,
    every_minutes: int = 1,
) -> None:
    """Store one minute of so many: every series has some calls in one of `of` of them."""
    client.command(f"DETACH TABLE {_DATABASE}.windows_1h_mv")  # of no use here, and slow
    series = tenants * MODELS
    step_s = max(1, _ROWS_AT_ONCE * of * every_minutes // series) * 60
    for from_s in range(begin_s, end_s, step_s):
        minutes = (min(from_s + step_s, end_s) - from_s) // 60
        client.command(
            f"""
            INSERT INTO {_DATABASE}.windows_1m
                (window_start, tenant, service, provider, model, requests, errors, input_tokens,
                 output_tokens, cost_pico_usd, cost_input_pico_usd, cost_output_pico_usd,
                 latency_hist)
            SELECT
                toDateTime({from_s} + intDiv(number, {series}) * 60),
                concat('t', toString(intDiv(number % {series}, {MODELS}))), 'chat',
                concat('p', toString(number % {MODELS} % 3)),
                concat('m', toString(number % {MODELS})),
                48 + cityHash64(number, {from_s}) % 37 AS calls,
                cityHash64(number, 2) % 3, calls * 900, calls * 200, calls * {call_pico_usd},
                calls * {call_pico_usd // 2}, calls * {call_pico_usd // 2},
                map(toInt16(330 + cityHash64(number, 3) % 5), toUInt64(calls - 2),
                    toInt16(350 + cityHash64(number, 4) % 9), 2::UInt64)
            FROM numbers({minutes * series})
            WHERE cityHash64(number, {from_s}, 5) % {of} = 0
                AND (intDiv({from_s}, 60) + intDiv(number, {series})) % {every_minutes} = 0
            """
        )
    client.command(f"ATTACH TABLE {_DATABASE}.windows_1h_mv")
