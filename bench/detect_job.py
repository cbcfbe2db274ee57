"""Question: what does the detect job cost: a closing window, a stream of deltas, memory, bytes?

The pure state that the job keeps, without Kafka and ClickHouse: windows of 50,000 keys, the records
that ingest publishes of 5,000 events a second, and 20,000 live runs.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from bench.progress import say
from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import PROGRESS_SCHEMA, ProgressMark
from tokentide_jobs.core.decide.decider import STEPS_TAG, WINDOWS_SCHEMA, Decider
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.detect.window_view import ClosedWindow
from tokentide_jobs.core.guard.step_rows import STEPS_SCHEMA
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.core.tables import MINUTE_US, WINDOWS
from tokentide_jobs.core.window.fold import DELTA_SCHEMA, DIMENSIONS
from tokentide_jobs.io.clickhouse.detector_store import packed_state

WINDOW_KEYS: Final = 50_000
STREAM_KEYS: Final = 5_000
LIVE_RUNS: Final = 20_000
GROWN_KEYS: Final = 150
GROWN_MINUTES: Final = 2_160
EVENTS_PER_S: Final = 5_000
BATCHES_PER_S: Final = 8
STREAM_S: Final = 15
RUN_STEPS: Final = 40
_SOURCE: Final = LogPartition("bench", "tokentide.events.v1", 0)
_BEGIN_US: Final = 1_795_000_020_000_000


def measure() -> dict[str, object]:
    """Return what a window, a stream and a snapshot cost."""
    return {
        "window": window(), "stream": stream(), "snapshot": snapshot(), "memory": memory(),
    }  # fmt: skip


def window() -> dict[str, object]:
    """Close one window of many keys and judge it."""
    decider = Decider(DetectRules(levels=(("tenant", "model"),), settle_us=0), ())
    took = [_close(decider, minute) for minute in range(4)]
    return {
        "keys": decider.watched.keys,
        "close_and_judge_cpu_s": round(min(took[1:]), 3),
        "target_cpu_s": 1.0,
        "state_bytes": len(decider.watched.to_parts()["detectors"]),
    }


def _close(decider: Decider, minute: int) -> float:
    """Let a window of many keys close, with marks as often as they come; return its CPU seconds."""
    start_us = _BEGIN_US + minute * MINUTE_US
    decider.take([_mark(start_us, minute)])
    decider.take([_windows(_rows(WINDOW_KEYS, start_us, 20), minute)])
    decider.take(_mark(start_us + second * 1_000_000, minute) for second in range(5, 60, 5))
    began = time.process_time()
    found = decider.take([_mark(start_us + MINUTE_US, minute + 1)])
    took = time.process_time() - began
    if [len(one.sums.keys) for one in found.windows] != [WINDOW_KEYS] and minute:
        raise AssertionError(f"window {minute} did not close")
    say(f"window {minute}: {took:.2f} s of CPU")
    return took


def snapshot() -> dict[str, object]:
    """Pack the state of detectors that have seen a day and a half of noise."""
    chance, detectors = np.random.default_rng(1), Detectors(Parameters())
    keys = [f"tenant=t{n}, model=m{n % 7}" for n in range(GROWN_KEYS)]
    shape = (len(METRICS), GROWN_KEYS)
    usual = chance.uniform(0.01, 0.9, shape)
    for minute in range(GROWN_MINUTES):
        values = usual * np.exp(0.05 * chance.standard_normal(shape))
        counts = chance.poisson(80, shape).astype(float)
        start_us = _BEGIN_US + minute * MINUTE_US
        detectors.judge(ClosedWindow(start_us, keys, values, counts, True))
    state = detectors.state.to_bytes()
    began = time.process_time()
    share = len(packed_state(state)) / len(state)
    return {
        "keys": GROWN_KEYS,
        "windows": GROWN_MINUTES,
        "state_bytes": len(state),
        "packed_share": round(share, 3),
        "cpu_s_per_100_mb": round((time.process_time() - began) / len(state) * 1e8, 2),
    }


def memory() -> dict[str, object]:
    """Return what a process of its own holds with as many keys and live runs as may be."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as process:
        return process.submit(_memory).result()


def _memory() -> dict[str, object]:
    began = _resident_mb()
    decider = Decider(DetectRules(levels=(("tenant", "model"),), settle_us=0), ())
    for minute in range(3):
        _close(decider, minute)
    keys = _resident_mb(), _peak_mb()
    for batch in range(RUN_STEPS):
        names = [f"run-{number}" for number in range(LIVE_RUNS)]
        now_us = _BEGIN_US + 180_000_000 + batch * 20_000_000
        decider.take([_steps_of(names, now_us, random.Random(batch), 100 + batch)])
    both = _resident_mb()
    say(f"{len(decider.guard.live):,} runs beside {decider.watched.keys:,} keys")
    packed_state(decider.to_bytes())
    return {
        "keys": decider.watched.keys,
        "live_runs": len(decider.guard.live),
        "steps_a_run": RUN_STEPS,
        "empty_mb": began,
        "keys_mb": keys[0],
        "peak_while_windows_close_mb": keys[1],
        "keys_and_runs_mb": both,
        "peak_with_a_snapshot_mb": _peak_mb(),
    }


def _resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6)


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1e6)


def stream() -> dict[str, object]:
    """Take what ingest publishes of some minutes of traffic."""
    decider, chance = Decider(DetectRules(), ()), random.Random(1)
    per_batch = EVENTS_PER_S // BATCHES_PER_S
    records = []
    for offset in range(STREAM_S * BATCHES_PER_S):
        now_us = _BEGIN_US + offset * 1_000_000 // BATCHES_PER_S
        start_us = now_us // 10_000_000 * 10_000_000
        series = sorted(chance.sample(range(STREAM_KEYS), per_batch))
        records.append(_windows(_rows(per_batch, start_us, 1, series), offset, now_us))
        records.append(_steps(per_batch, now_us, chance, offset))
        records.append(_mark(now_us, offset + 1))
    began = time.process_time()
    for at in range(0, len(records), 24):
        decider.take(records[at : at + 24])
    cpu_s = time.process_time() - began
    events = STREAM_S * BATCHES_PER_S * per_batch
    return {
        "events": events,
        "series": STREAM_KEYS,
        "cpu_s": round(cpu_s, 2),
        "events_per_cpu_s": round(events / cpu_s),
        "cores_at_5000_events_per_s": round(cpu_s / STREAM_S, 3),
        "live_runs": len(decider.guard.live),
    }


def _rows(
    count: int, start_us: int, requests: int, series: list[int] | None = None
) -> pl.DataFrame:
    numbers = series or list(range(count))
    names: dict[str, list[str]] = {
        name: [f"{name[:2]}{n % 7}" for n in numbers] for name in DIMENSIONS
    }
    names |= {"tenant": [f"t{n // 10}" for n in numbers], "model": [f"m{n % 10}" for n in numbers]}
    hist = [[{"key": 350 + n % 9, "value": requests}] for n in numbers]
    columns: dict[str, Any] = {}
    for name, dtype in DELTA_SCHEMA.items():
        if name in names:
            columns[name] = names[name]
        elif name == "window_start":
            columns[name] = [datetime.fromtimestamp(start_us / 1e6, UTC)] * len(numbers)
        elif isinstance(dtype, pl.List):
            columns[name] = hist
        elif name.startswith("cost"):
            columns[name] = [10**9] * len(numbers)
        else:
            columns[name] = [requests if name in ("requests", "events") else 0] * len(numbers)
    return pl.DataFrame(columns, schema=dict(DELTA_SCHEMA))


def _steps(count: int, now_us: int, chance: random.Random, offset: int) -> DeltaRecord:
    runs = [f"run-{chance.randrange(LIVE_RUNS)}" for _ in range(count)]
    return _steps_of(runs, now_us, chance, offset)


def _steps_of(runs: list[str], now_us: int, chance: random.Random, offset: int) -> DeltaRecord:
    count = len(runs)
    columns: dict[str, Any] = {
        "tenant": [f"t{len(run)}" for run in runs], "run": runs, "at_us": [now_us] * count,
        "agent": ["critic"] * count, "user": ["u"] * count, "cost_pico_usd": [10**9] * count,
        "tokens": [1_000] * count, "errors": [0] * count, "tool": ["search"] * count,
        "prompt": ["p 1"] * count, "input_tokens": [chance.randrange(9_000) for _ in runs],
        "service": ["desk"] * count, "environment": ["production"] * count,
        "model": ["m"] * count, "prompt_name": ["p"] * count,
    }  # fmt: skip
    frame = pl.DataFrame(columns, schema=dict(STEPS_SCHEMA))
    return _record(STEPS_TAG, frame.to_arrow(compat_level=pl.CompatLevel.oldest()), now_us, offset)


def _windows(rows: pl.DataFrame, offset: int, now_us: int = 0) -> DeltaRecord:
    return _record(WINDOWS_SCHEMA, to_arrow(WINDOWS, rows), now_us, offset)


def _record(schema: str, rows: pa.Table, now_us: int, offset: int) -> DeltaRecord:
    return DeltaRecord(
        0, offset, now_us, _headers(schema, offset), bytes(to_ipc(rows, compress=True))
    )


def _mark(arrived_us: int, position: int) -> DeltaRecord:
    mark = ProgressMark(
        log=_SOURCE, position=position, log_end=position, arrived_us=arrived_us,
        max_event_us=None, at_us=arrived_us, sources={_SOURCE.topic: 1},
    )  # fmt: skip
    return DeltaRecord(0, position, arrived_us, _headers(PROGRESS_SCHEMA, position), mark.to_json())


def _headers(schema: str, offset: int) -> tuple[tuple[str, bytes], ...]:
    fields = {
        "schema": schema, "log_id": _SOURCE.log_id, "topic": _SOURCE.topic, "partition": 0,
        "start": offset, "end": offset + 1, "chunk": 0,
    }  # fmt: skip
    return tuple((name, str(text).encode()) for name, text in fields.items())
