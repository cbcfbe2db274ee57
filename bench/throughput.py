"""Question: how many events does one worker take per CPU second, beside its peers and the limit?

The worker's full path (ledger, validation, prices, windows, histograms, ClickHouse) reads
frames of 200 events. Every reference runs in the same session, on the same events; rounds
alternate, because the speed of a shared machine drifts; the median of the ratios is what counts.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time

from bench.pipeline import Pipeline, cpu_s, running, wait_for_rows
from bench.progress import say
from bench.topics import fill
from bench.workload import frames, lines
from tokentide_jobs.core.tables import MINUTE_US

FRAME_EVENTS = 200
WORKER_EVENTS = 600_000
SPACING_US = 10
"""Between two events: 100,000 a second, what a saturated worker sees of the time of the events.

The references put records into windows by the time of arrival, so theirs are as full.
"""
REFERENCES = {
    "limit": ("frames", WORKER_EVENTS),
    "plain_orjson": ("frames", WORKER_EVENTS),
    "quix_window": ("singles", 200_000),
    "faust_idiomatic": ("singles", 12_000),
}
"""Reference, the topic it reads and how many events: enough for seconds of work each."""

WITHOUT_SUBJECTS = "worker_without_subjects"
"""The same worker with `TOKENTIDE_SUBJECTS=off`. Every event of the workload has its own trace, so
that each is a run: this is the price of the most runs there can be."""

FLOORS = {"limit": 0.5, "faust_idiomatic": 35.0, WITHOUT_SUBJECTS: 0.9}
"""A worker below this many times the reference has lost speed."""
GOALS = {"limit": 0.6}
"""What is worth working for. The other references are shown for comparison."""


def measure(rounds: int = 3) -> dict[str, object]:
    """Return events per CPU second of the worker and of each reference, and their ratios."""
    with running() as pipeline:
        say("filling topics")
        now_us = time.time_ns() // 1000
        encoded = lines(WORKER_EVENTS, now_us - MINUTE_US, SPACING_US)
        asyncio.run(fill(pipeline.bootstrap, "frames", frames(encoded, FRAME_EVENTS)))
        asyncio.run(fill(pipeline.bootstrap, "singles", encoded[:200_000], keyed=True))
        results: dict[str, list[float]] = {
            "worker": [], WITHOUT_SUBJECTS: [], **{name: [] for name in REFERENCES}
        }  # fmt: skip
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            results["worker"].append(worker_rate(pipeline, f"round-{number}"))
            results[WITHOUT_SUBJECTS].append(
                worker_rate(pipeline, f"plain-{number}", subjects="off")
            )
            for name, (topic, events) in REFERENCES.items():
                results[name].append(reference_rate(pipeline.bootstrap, name, topic, events))
    medians = {name: round(statistics.median(rates)) for name, rates in results.items()}
    ratios = {
        name: round(
            statistics.median(w / r for w, r in zip(results["worker"], rates, strict=True)), 3
        )
        for name, rates in results.items()
        if name != "worker"
    }
    return {
        "events_per_cpu_s": medians,
        "worker_divided_by": ratios,
        "floors": FLOORS,
        "goals": GOALS,
        "bytes_per_event": round(sum(map(len, encoded)) / len(encoded)),
        "rounds": results,
    }


def worker_rate(pipeline: Pipeline, name: str, **given: str) -> float:
    """Return events per CPU second of the worker between a tenth of the rows and the last.

    Args:
        pipeline: Where it runs.
        name: New for every call: the topic is read from its beginning again.
        given: Settings to try.
    """
    client = pipeline.client()
    before = int(client.query("SELECT count() FROM raw_requests").result_rows[0][0])
    client.close()
    settings = {"events_topic": "frames", "group": f"bench-{name}", "log_id": name, **given}
    with pipeline.worker(**settings) as process:
        first = wait_for_rows(pipeline, before + WORKER_EVENTS // 10, 120)
        cpu_before = cpu_s(process)
        last = wait_for_rows(pipeline, before + WORKER_EVENTS, 300)
        return (last - first) / (cpu_s(process) - cpu_before)


def reference_rate(bootstrap: str, name: str, topic: str, events: int) -> float:
    """Return events per CPU second of one reference in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", f"bench.references.{name}"]
    done = subprocess.run(
        [*command, bootstrap, topic, str(events)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith('{"events"')]
    if not found:
        raise RuntimeError(f"{name} printed no figures: {done.stderr[-1000:]}")
    figures = json.loads(found[-1])
    return float(figures["events"] / figures["cpu_s"])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
