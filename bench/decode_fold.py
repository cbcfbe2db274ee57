"""What each stage of the columnar core costs, in microseconds of CPU per event.

Run `python -m bench.decode_fold [--events 50000] [--batch 10000] [--json]`. One thread, events of
about 700 bytes in frames of 200, the workload of every other measurement. The `bad` lines send five
per cent of malformed events, spread over all frames, through the same code.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from bench.workload import frames, lines
from tokentide_jobs.core.decode.columns import parse_schema
from tokentide_jobs.core.decode.decode import decode
from tokentide_jobs.core.decode.judge import AcceptedWindow
from tokentide_jobs.core.guard.step_rows import step_rows
from tokentide_jobs.core.outcome.arrow import published, to_arrow
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.split import split_record
from tokentide_jobs.core.tables import RAW_REQUESTS, SUBJECTS, WINDOWS
from tokentide_jobs.core.window.fold import COST_SUMS, fold
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS
from tokentide_jobs.core.window.subjects import fold_subjects
from tokentide_jobs.io.kafka.publisher import delta_chunks

START_US = 1_790_000_000_000_000
WINDOW = AcceptedWindow(START_US - 10**12, START_US + 10**12)

BAD_LINES = (
    b"not json at all",
    b'{"type":"request"',
    b'{"type":"request","service":5}',
    b'{"type":"other","event_id":"x"}',
    b'{"type":"request","duration_ms":NaN}',
    b'{"type":"request","input_tokens":1.5}',
    b'{"type":"request","input_tokens":"5"}',
    b'{"type":"request","input_tokens":99999999999999999999999}',
    b"[1,2",
    b"\xff\xfe",
)


def cpu_us_per_event(work: Callable[[], Any], events: int, rounds: int) -> float:
    """Return the best of some rounds: the others measure the neighbours on this machine."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best / events * 1e6


def batches(values: list[bytes], batch: int) -> list[list[Record]]:
    """Cut events into batches of records that are frames of 200 events."""
    return [
        [Record(0, offset, 0, value) for offset, value in enumerate(frames(part, 200))]
        for part in (values[i : i + batch] for i in range(0, len(values), batch))
    ]


def priced(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the columns that pricing and the ledger add, so that folding has all its work."""
    costs = [(pl.col("input_tokens") * 150_000).alias(name) for name in COST_SUMS[:-1]]
    texts = [pl.lit("x").alias(n) for n in ("price_version", "price_status", "price_rule")]
    places = [pl.lit("log").alias("log_id"), pl.lit("tokentide.events.v1").alias("_topic")]
    return frame.with_columns(
        *costs, *texts, *places, pl.lit(START_US, dtype=pl.Int64).alias("ingested_at_us")
    )


def run_by_agents(frame: pl.DataFrame) -> pl.DataFrame:
    """Give requests a subject of every kind: runs of some twenty calls, users, keys, tools."""
    chance = random.Random(5)

    def drawn(name: str, prefix: str, of: int) -> pl.Series:
        return pl.Series(name, [f"{prefix}{chance.randrange(of)}" for _ in range(frame.height)])

    return frame.with_columns(
        drawn("run_id", "run_", frame.height // 20 + 1),
        drawn("user_hash", "d41d8cd98f00b204e9800998ecf8", 2_000),
        drawn("key_id", "key_", 20),
        drawn("agent_name", "agent_", 10),
        drawn("tool_name", "tool_", 30),
        drawn("mcp_server", "server_", 5),
    )


def by_subject(frame: pl.DataFrame) -> pl.DataFrame:
    """Fold requests by subject, as the default settings do."""
    return fold_subjects(frame, SUBJECT_KINDS, 2_000)


def published_steps(frame: pl.DataFrame) -> list[bytes]:
    """Make the records that hold the steps of runs, for a topic of one partition."""
    rows = published(step_rows(frame))
    return [value for _partition, _chunk, value in delta_chunks(rows, 1, ("tenant", "run"))]


def measure(events: int = 50_000, batch: int = 10_000, rounds: int = 5) -> dict[str, object]:
    """Measure every stage over batches of `batch` events."""
    good = lines(events, START_US, 1_000)
    mixed = [
        BAD_LINES[i // 20 % len(BAD_LINES)] if i % 20 == 7 else line for i, line in enumerate(good)
    ]
    records, bad_records = batches(good, batch), batches(mixed, batch)
    schema = {k: v for k, v in parse_schema().items() if f'"{k}":'.encode() in good[0]}
    decoded = [priced(decode(part, WINDOW).frames["request"]) for part in records]
    deltas = [fold({"request": frame}) for frame in decoded]
    agents = [run_by_agents(frame) for frame in decoded]

    def run(work: Callable[[Any], Any], parts: Sequence[Any]) -> float:
        return cpu_us_per_event(lambda: [work(part) for part in parts], events, rounds)

    def parse_only(part: list[Record]) -> pl.DataFrame:
        return pl.read_ndjson(b"\n".join([record.value for record in part]), schema=schema)

    return {
        "bytes_per_event": round(sum(map(len, good)) / events, 1),
        "split_us": run(lambda part: [split_record(record.value) for record in part], records),
        "parse_only_us": run(parse_only, records),
        "decode_us": run(lambda part: decode(part, WINDOW), records),
        "decode_5_percent_bad_us": run(lambda part: decode(part, WINDOW), bad_records),
        "fold_us": run(lambda frame: fold({"request": frame}), decoded),
        "subjects_of_plain_calls_us": run(by_subject, decoded),
        "subjects_of_agents_us": run(by_subject, agents),
        "steps_of_plain_calls_us": run(published_steps, decoded),
        "steps_of_agents_us": run(published_steps, agents),
        "steps_bytes_per_event": round(
            sum(len(value) for part in agents for value in published_steps(part)) / events, 1
        ),
        "arrow_events_us": run(lambda frame: to_arrow(RAW_REQUESTS, frame), decoded),
        "arrow_windows_us": run(lambda delta: to_arrow(WINDOWS, delta), deltas),
        "arrow_subjects_us": run(
            lambda delta: to_arrow(SUBJECTS, delta), [by_subject(part) for part in agents]
        ),
        "deltas_per_event": round(sum(delta.height for delta in deltas) / events, 4),
    }


def main() -> None:
    """Measure, print a table, and the same as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--batch", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    options = parser.parse_args()
    results = {batch: measure(options.events, batch, options.rounds) for batch in options.batch}
    if not options.json:
        for name in next(iter(results.values())):
            values = "".join(f"{result[name]:12.3f}" for result in results.values())
            sys.stdout.write(f"{name:28}{values}\n")
        sys.stdout.write(f"{'events in a batch':28}{''.join(f'{b:12}' for b in results)}\n")
    sys.stdout.write(json.dumps({str(batch): result for batch, result in results.items()}) + "\n")


if __name__ == "__main__":
    main()
