"""Question: how long from an event to its queryable row, and how large is a worker, at 2,000/s?

Frames are sent at a steady pace; a client asks ClickHouse every 20 ms how far the rows have come.
An event's delay runs from handing its frame to Kafka to the first answer that counts it.
"""

from __future__ import annotations

import asyncio
import bisect
import json
import statistics
import threading
import time
from collections.abc import Iterator

from bench.paced import send_paced
from bench.pipeline import Pipeline, running
from bench.progress import say
from bench.workload import frames, lines
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_schemas.topics import EVENTS

EVENTS_PER_S = 2_000
FRAME_EVENTS = 100
SECONDS = 40
WARM_UP_S = 8
"""Left out: the group join and the first compilation of every query."""


def noted(sent: list[tuple[int, float]]) -> Iterator[bytes]:
    """Yield frames, and note (events so far, time) as each is asked for to be sent."""
    encoded = lines(EVENTS_PER_S * SECONDS, time.time_ns() // 1000, 1_000_000 // EVENTS_PER_S)
    for number, frame in enumerate(frames(encoded, FRAME_EVENTS), start=1):
        sent.append((number * FRAME_EVENTS, time.perf_counter()))
        yield frame


def watch(
    pipeline: Pipeline, seen: list[tuple[int, float]], total: int, stop: threading.Event
) -> None:
    """Note (rows so far, time of the answer) every 20 ms until `total` rows are there."""
    client = pipeline.client()
    rows = 0
    while rows < total and not stop.wait(0.02):
        rows = int(client.query("SELECT count() FROM raw_requests").result_rows[0][0])
        seen.append((rows, time.perf_counter()))
    client.close()


def measure() -> dict[str, object]:
    """Return percentiles of the delay in seconds, and resident megabytes while it was so."""
    with running() as pipeline:
        asyncio.run(ensure_topics(pipeline.bootstrap))
        with pipeline.worker() as worker:
            sent: list[tuple[int, float]] = []
            seen: list[tuple[int, float]] = []
            stop = threading.Event()
            watcher = threading.Thread(
                target=watch, args=(pipeline, seen, EVENTS_PER_S * SECONDS, stop)
            )
            watcher.start()
            say(f"sending {EVENTS_PER_S} events/s for {SECONDS} s")
            pace = EVENTS_PER_S / FRAME_EVENTS
            asyncio.run(send_paced(pipeline.bootstrap, EVENTS.name, noted(sent), pace))
            rss_mb = worker.memory_info().rss // 1_000_000
            watcher.join(30)
            stop.set()
            watcher.join()
    return {**delays(sent, seen), "worker_rss_mb": rss_mb, "target_worker_rss_mb": 400}


def delays(sent: list[tuple[int, float]], seen: list[tuple[int, float]]) -> dict[str, object]:
    """Match frames with answers by count: frame k is queryable once its events are counted."""
    counts = [rows for rows, _ in seen]
    begun = sent[0][1]
    found = [
        seen[bisect.bisect_left(counts, total)][1] - at
        for total, at in sent
        if at - begun >= WARM_UP_S and total <= counts[-1]
    ]
    cuts = statistics.quantiles(found, n=100)
    return {
        "events_per_s": EVENTS_PER_S,
        "p50_s": round(cuts[49], 3),
        "p95_s": round(cuts[94], 3),
        "p99_s": round(cuts[98], 3),
        "target_p99_s": 2.0,
        "events_seen": counts[-1],
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
