"""Question: how long does a query of a board take on twenty million requests?

An hour of recorded workloads goes through the pipeline, and its rows are stored again as the hours
of thirty days before it: raw rows, windows, rollups and subjects. Every query of every board is
then asked as `grafana`, one after the other, over six hours and over thirty days; once at rest, and
once while ingest takes half of the events it can take. Answers are read to their end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Final
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from bench.paced import send_paced
from bench.pipeline import Pipeline, running, wait_for_rows
from bench.progress import say
from bench.topics import fill
from bench.workload import frames, lines
from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.check.browser import expand
from tokentide_dashboards.check.choice import choose
from tokentide_dashboards.check.lint import queries
from tokentide_dashboards.check.time_range import PANEL_POINTS, TimeRange, interval_ms
from tokentide_jobs.cli.replay import replay_producer
from tokentide_jobs.core.tables import (
    MINUTE_US,
    RAW_REQUESTS,
    RAW_TABLES,
    ROLLUPS,
    SUBJECTS,
    WINDOW_S,
    WINDOWS,
)
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.replay.pace import Pace, Plan
from tokentide_jobs.replay.send import send
from tokentide_jobs.replay.workload import Workload, prepare
from tokentide_schemas.topics import EVENTS

REQUESTS: Final = int(os.environ.get("BENCH_DASHBOARD_REQUESTS", "20_000_000"))
DAYS: Final = 30
ROUNDS: Final = 3
TARGETS_MS: Final = {"6h": 100.0, "30d": 300.0}
"""95 of 100 queries are to be faster, at rest; while ingest works, than twice that."""
_HOURS: Final = {"6h": 6.0, "30d": 24.0 * DAYS}
_COPIES_AT_ONCE: Final = 4
_LATER: Final = "- toIntervalSecond(copy * {step_s})"
_ANOTHER: Final = (
    "if({id} = '', '', concat(substring({id}, 1, 24), leftPad(toString(copy), 8, '0')))"
)
_RAW: Final = {"started_at": "started_at " + _LATER, "event_id": "generateUUIDv4()"}
_IDS: Final = ("run_id", "conversation_id", "trace_id")
COPIED: Final[dict[str, dict[str, str]]] = {
    RAW_REQUESTS: {**_RAW, **{one: _ANOTHER.replace("{id}", one) for one in _IDS}},
    **{RAW_TABLES[name]: _RAW for name in ("evaluation", "feedback", "change")},
    WINDOWS: {"window_start": "window_start " + _LATER},
    SUBJECTS: {
        "hour": f"toStartOfHour(hour {_LATER})",
        "subject": f"if(kind = 'run', {_ANOTHER.replace('{id}', 'subject')}, subject)",
    },
}
"""Tables, and what differs in each copy of their rows. Views fill the rollups from the windows.

Runs differ in every hour, as in production; the callers stay the same.
"""
_LOAD_EVENTS: Final = 400_000
_FRAME: Final = 200
_FRAMES_AGAIN: Final = 200
"""Frames that are sent again and again."""


def measure() -> dict[str, object]:
    """Return percentiles of milliseconds at rest and beside ingest, and the slowest queries."""
    with running() as pipeline:
        asyncio.run(ensure_topics(pipeline.bootstrap))
        client = pipeline.client()
        end_ms = _replay(pipeline)
        copies = _copy(client)
        stored = _count(client, RAW_REQUESTS)
        say(f"{stored:,} requests are stored, {copies} times the recorded hour")
        _settle(client)
        grafana = clickhouse_connect.get_client(
            host="127.0.0.1", port=urlsplit(pipeline.clickhouse_url).port or 0,
            username="grafana", database="tokentide", autogenerate_session_id=False,
        )  # fmt: skip
        at_rest = _ask_all(grafana, end_ms)
        with _half_of_ingest(pipeline) as rates:
            beside_ingest = _ask_all(grafana, end_ms)
        rows = {table: _count(client, table) for table in ROLLUPS[:2]}
        grafana.close()
        client.close()
    return {
        "requests": stored,
        "rows": rows,
        "at_rest": at_rest,
        "beside_ingest": beside_ingest,
        **rates,
        "targets_p95_ms": TARGETS_MS,
    }


def _replay(pipeline: Pipeline) -> int:
    """Send the recorded hour, and return when it ends (epoch ms)."""
    work = prepare("mixed")
    say(f"replaying {work.requests:,} calls")
    with pipeline.worker():
        sent = _send(work, pipeline.bootstrap)
        wait_for_rows(pipeline, sent, 300)
        time.sleep(5)  # evaluations and changes follow their calls
    return int(time.time() * 1_000)


def _send(work: Workload, bootstrap: str) -> int:
    plan = Plan.make(Pace(), time.time_ns() // 1_000, work.requests, work.span_s, is_live=False)
    telemetry = replay_producer(bootstrap, EVENTS.name)
    try:
        return send(work.events(), plan, telemetry).requests
    finally:
        telemetry.close()


def _copy(client: Client) -> int:
    """Store the hour again for every hour of the days before; return how often it is there."""
    once = _count(client, RAW_REQUESTS)
    copies = REQUESTS // once + 1
    step_s = DAYS * 86_400 // copies // WINDOW_S * WINDOW_S
    for table in COPIED:
        client.command(f"CREATE TABLE first_{table} ENGINE = Memory AS SELECT * FROM {table}")
    for first in range(1, copies, _COPIES_AT_ONCE):
        say(f"{first * once:,} of {copies * once:,} requests are stored")
        last = min(first + _COPIES_AT_ONCE, copies)
        for table, differs in COPIED.items():
            replaced = ", ".join(
                f"{how.format(step_s=step_s)} AS {column}" for column, how in differs.items()
            )
            client.command(
                f"INSERT INTO {table} SELECT * REPLACE ({replaced}) FROM first_{table}"
                f" ARRAY JOIN range({first}, {last}) AS copy"
            )
    for table in COPIED:
        client.command(f"DROP TABLE first_{table}")
    return copies


def _settle(client: Client) -> None:
    """Wait until merges have ended, as between two hours of ordinary work."""
    give_up_s = time.monotonic() + 300
    while time.monotonic() < give_up_s and _count(client, "system.merges"):
        time.sleep(1)


def _count(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])


def _ask_all(client: Client, end_ms: int) -> dict[str, object]:
    """Ask every query of every board for each range, and return percentiles in milliseconds."""
    answer: dict[str, object] = {}
    for name, hours in _HOURS.items():
        length_ms = int(hours * 3_600_000)
        span = TimeRange(end_ms - length_ms, end_ms, interval_ms(length_ms, PANEL_POINTS))
        took: dict[str, list[float]] = {}
        for board in [board.json() for board in BOARDS]:
            picked = choose(board, span, lambda sql: client.query(sql).result_rows)
            for place, _of, sql in queries(board):
                text = expand(sql, span, picked)
                for _round in range(ROUNDS):
                    began_s = time.perf_counter()
                    client.raw_query(text, fmt="Native")
                    took.setdefault(f"{board['uid']} {place}", []).append(
                        (time.perf_counter() - began_s) * 1_000
                    )
        every = sorted(ms for many in took.values() for ms in many)
        slowest = sorted(took, key=lambda one: -min(took[one]))[:5]
        answer[name] = {
            "queries": len(took),
            "p50_ms": round(every[len(every) // 2], 1),
            "p95_ms": round(every[int(len(every) * 0.95)], 1),
            "max_ms": round(every[-1], 1),
            "slowest_ms": {one: round(min(took[one]), 1) for one in slowest},
        }
    return answer


def _send_for_ever(bootstrap: str, encoded: list[bytes], frames_per_s: float) -> None:
    asyncio.run(send_paced(bootstrap, "load", cycle(encoded), frames_per_s))


@contextmanager
def _half_of_ingest(pipeline: Pipeline) -> Iterator[dict[str, int]]:
    """Keep a worker busy with half of the events a second that it has just shown it can take."""
    client = pipeline.client()
    before = _count(client, RAW_REQUESTS)
    encoded = frames(lines(_LOAD_EVENTS, time.time_ns() // 1_000 - MINUTE_US, 100), _FRAME)
    asyncio.run(fill(pipeline.bootstrap, "load", encoded))
    with pipeline.worker(events_topic="load", group="load", log_id="load"):
        wait_for_rows(pipeline, before + _LOAD_EVENTS // 10, 120)
        began_s, first = time.monotonic(), _count(client, RAW_REQUESTS)
        last = wait_for_rows(pipeline, before + _LOAD_EVENTS, 300)
        most = int((last - first) / (time.monotonic() - began_s))
        rates = {"most_events_per_s": most, "events_per_s_beside_the_boards": 0}
        # A process of its own, as producers are: a thread would hold up the one that times the
        # answers.
        sender = multiprocessing.get_context("spawn").Process(
            target=_send_for_ever,
            args=(pipeline.bootstrap, encoded[:_FRAMES_AGAIN], most / 2 / _FRAME),
            daemon=True,
        )
        begin_s, begin = time.monotonic(), _count(client, RAW_REQUESTS)
        sender.start()
        try:
            yield rates
        finally:
            is_sending = sender.is_alive()
            sender.terminate()
            sender.join()
            if not is_sending:
                raise RuntimeError("nothing was sent any more: the boards were asked at rest")
            stored = _count(client, RAW_REQUESTS) - begin
            rates["events_per_s_beside_the_boards"] = int(stored / (time.monotonic() - begin_s))
            client.close()
