"""Question: how long from an event to the alert row, and to the budget state that a service reads?

The embedded stack with everything on this machine: Kafka, ClickHouse, an ingest and a detect
worker, the sender, and a service that asks. 4,500 series learn four hours of stored windows; then
some tenants begin to fail. A row is late by its time of writing less the end of its window; a state
by the first answer that knows of a call less the end of that call. Each budget has two calls: one
uses all of it up, which is reported at once, and one after it only adds to what is spent.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import yaml

from bench.detect_history import MODELS, fill
from bench.detect_probes import Probe, ask, waits
from bench.detect_timeline import (
    batch_stages,
    call_stages,
    read_timeline,
    window_stages,
)
from bench.paced import send_paced
from bench.pipeline import cpu_s, running
from bench.progress import say
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_schemas.topics import EVENTS

EVENTS_PER_S: Final = int(os.environ.get("BENCH_EVENTS_PER_S", "5000"))
SECONDS: Final = 390
TENANTS: Final = 500
FAILING: Final = 30
FAILS_AFTER_S: Final = 90
PROBES: Final = 100
_HISTORY_S: Final = 4 * 3_600
_FRAME: Final = 200
_SETTLE_S: Final = 30.0
_IDLE_S: Final = 90.0
_DETECT: Final = {"anomalies": {"silent_days": 0.125, "learning_days": 0.125}}
_ROWS: Final = (
    "SELECT toUnixTimestamp64Milli(written_at) / 1000 - toUnixTimestamp(window_start) - 60, what"
    " FROM anomaly_points"
)
_ENDS: Final = (
    "SELECT toUnixTimestamp(window_start) + 60, min(toUnixTimestamp64Milli(written_at)) / 1000"
    " FROM anomaly_points GROUP BY window_start"
)
_ALERTS: Final = (
    "SELECT toUnixTimestamp64Micro(written_at) / 1e6 - toUnixTimestamp64Micro(at) / 1e6"
    " FROM alert_events WHERE kind = 'anomaly'"
)


def measure() -> dict[str, object]:
    """Return percentiles of both delays, what it took meanwhile, and what it takes at rest."""
    return {"idle": idle(), **busy()}


def busy() -> dict[str, object]:
    """Return percentiles of both delays in seconds, and what the processes took meanwhile."""
    with running() as pipeline:
        files = _files(pipeline.root)
        client = pipeline.client()
        until_s = int(time.time()) // 60 * 60
        # Half of the minutes are enough: others are passed over.
        fill(client, until_s - _HISTORY_S, until_s, TENANTS, 1, 0, every_minutes=2)
        asyncio.run(ensure_topics(pipeline.bootstrap))
        probes = [Probe(number) for number in range(PROBES)]
        with pipeline.worker() as ingest, pipeline.worker("detect", **files) as detect:
            store = psutil.Process(pipeline.clickhouse_pid)
            before = {name: cpu_s(one) for name, one in _named(ingest, detect, store).items()}
            began_s = time.monotonic()
            asking = threading.Thread(target=ask, args=(pipeline.bootstrap, probes, SECONDS - 100))
            asking.start()
            sent = _FRAME * asyncio.run(
                send_paced(pipeline.bootstrap, EVENTS.name, _frames(), EVENTS_PER_S / _FRAME)
            )
            asking.join()
            seconds = time.monotonic() - began_s
            time.sleep(10)
            used = {
                f"{name}_cores": round((cpu_s(one) - before[name]) / seconds, 2)
                for name, one in _named(ingest, detect, store).items()
            }
            rss_mb = {
                f"{name}_rss_mb": one.memory_info().rss // 1_000_000
                for name, one in _named(ingest, detect, store).items()
            }
            rows = [(float(late), what) for late, what in client.query(_ROWS).result_rows]
            alerts = [float(late) for (late,) in client.query(_ALERTS).result_rows]
            ends = client.query(_ENDS).result_rows
            stored = client.query("SELECT count() FROM raw_requests").result_rows[0][0]
            timeline = asyncio.run(read_timeline(client, pipeline.bootstrap))
        client.close()
    return {
        "events_per_s_asked": EVENTS_PER_S,
        "events_per_s_sent": round(sent / seconds),
        "events_stored_ten_seconds_later": stored,
        "window_end_to_anomaly_row": _percentiles([late for late, _what in rows]),
        "alarms_opened": sum(what == "opened" for _late, what in rows),
        "window_end_to_alert_row": _percentiles(alerts),
        "call_to_budget_used_up_in_the_sdk": _percentiles(waits(probes, 0)),
        "call_to_budget_spend_in_the_sdk": _percentiles(waits(probes, 1)),
        "target_p99_s": 5.0,
        "stages": {
            "batch": batch_stages(timeline),
            "window": window_stages(timeline, {int(end): float(at) for end, at in ends}),
            "call": call_stages(timeline, [one.calls[0] for one in probes]),
        },
        **used,
        **rss_mb,
    }


def idle() -> dict[str, object]:
    """Return what a detect worker takes at rest: no event, four source partitions."""
    with running() as pipeline:
        asyncio.run(ensure_topics(pipeline.bootstrap))
        with pipeline.worker(), pipeline.worker("detect") as detect:
            time.sleep(_SETTLE_S)
            before_s = cpu_s(detect)
            time.sleep(_IDLE_S)
            return {
                "cores": round((cpu_s(detect) - before_s) / _IDLE_S, 4),
                "rss_mb": detect.memory_info().rss // 1_000_000,
                "target_rss_mb": 250,
            }


def _named(*processes: psutil.Process) -> dict[str, psutil.Process]:
    return dict(zip(("ingest", "detect", "clickhouse"), processes, strict=True))


def _files(root: Path) -> dict[str, str]:
    """Write the rules: detectors that raise alarms after three hours, and one budget a probe."""
    budgets = [
        {"name": f"probe {n}", "scope": {"tenant": f"probe-{n}"}, "period": "day",
         "amount_usd": "0.001"}
        for n in range(PROBES)
    ]  # fmt: skip
    (root / "detect.yaml").write_text(yaml.safe_dump(_DETECT))
    (root / "budgets.yaml").write_text(yaml.safe_dump({"budgets": budgets}))
    return {
        "detect_file": str(root / "detect.yaml"), "budgets_file": str(root / "budgets.yaml"),
    }  # fmt: skip


def _frames() -> Iterator[bytes]:
    """Yield frames of calls that end at the moment at which each is asked for."""
    chance, begun_s = random.Random(3), time.perf_counter()
    for number in range(SECONDS * EVENTS_PER_S // _FRAME):
        since_s = time.perf_counter() - begun_s
        if number % (60 * EVENTS_PER_S // _FRAME) == 0:
            say(f"{number * _FRAME:,} events in {since_s:.0f} s")
        yield b"\n".join(_event(chance, since_s > FAILS_AFTER_S) for _ in range(_FRAME))


def _event(chance: random.Random, fails: bool) -> bytes:
    """Return a call that ended now and lasted as in the history, one of 4,500 series."""
    place = chance.randrange(TENANTS * MODELS)
    tenant, model = divmod(place, MODELS)
    is_error = chance.random() < (0.6 if fails and tenant < FAILING else 0.015)
    now_us = time.time_ns() // 1_000
    low, high = chance.getrandbits(62), now_us // 1_000 << 16 | 7 << 12 | chance.getrandbits(12)
    text = f"{high:016x}{1 << 63 | low:016x}"
    event_id = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    duration_ms = chance.uniform(680, 760) if chance.random() < 0.97 else 1_150.0
    status = '"error","error_type":"server"' if is_error else '"ok"'
    return (
        f'{{"type":"request","schema_version":1,"event_id":"{event_id}",'
        f'"started_at_us":{now_us - round(duration_ms * 1_000)},"duration_ms":{duration_ms:.3f},'
        f'"service":"chat","environment":"production","tenant":"t{tenant}","operation":"chat",'
        f'"provider":"p{model % 3}","request_model":"m{model}","response_model":"m{model}",'
        f'"status":{status},"input_tokens":900,"output_tokens":200,"usage_source":"provider",'
        f'"trace_id":"{low:032x}"}}'
    ).encode()


def _percentiles(seconds: list[float]) -> dict[str, object]:
    if len(seconds) < 2:
        return {"rows": len(seconds)}
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "rows": len(seconds),
        "p50_s": round(cuts[49], 2),
        "p99_s": round(cuts[98], 2),
        "longest_s": round(max(seconds), 2),
    }
