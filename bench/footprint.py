"""Question: how much memory and disk do the parts take after five million events?

Resident memory is read while the last events are worked on; disk is what ClickHouse reports for the
active parts of `raw_requests` once merges have settled.
"""

from __future__ import annotations

import asyncio
import json
import time

import psutil

from bench.pipeline import running, wait_for_rows
from bench.progress import say
from bench.topics import fill
from bench.workload import frames, lines
from tokentide_jobs.core.tables import DAY_US

EVENTS = 5_000_000
CHUNK_EVENTS = 250_000
_MB = 1_000_000


def measure(events: int = EVENTS) -> dict[str, object]:
    """Return resident megabytes of worker and ClickHouse, and raw bytes per event."""
    topic = "footprint"
    with running() as pipeline, pipeline.worker(events_topic=topic, group=topic) as worker:
        store = psutil.Process(pipeline.clickhouse_pid)
        worker_peak = store_peak = 0
        start_us = time.time_ns() // 1000 - DAY_US
        for done in range(0, events, CHUNK_EVENTS):
            chunk = lines(CHUNK_EVENTS, start_us + done * 17_000, 17_000, seed=done)
            asyncio.run(fill(pipeline.bootstrap, topic, frames(chunk, 200)))
            wait_for_rows(pipeline, done + CHUNK_EVENTS, 120)
            worker_peak = max(worker_peak, worker.memory_info().rss)
            store_peak = max(store_peak, store.memory_info().rss)
            say(
                f"{done + CHUNK_EVENTS:,} events: worker {worker_peak // _MB} MB,"
                f" ClickHouse {store_peak // _MB} MB"
            )
        client = pipeline.client()
        client.command("OPTIMIZE TABLE raw_requests FINAL")
        size = client.query(
            "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts"
            " WHERE active AND database = 'tokentide' AND table = 'raw_requests'"
        ).result_rows[0][0]
        client.close()
        return {
            "events": events,
            "worker_rss_mb_draining_a_backlog": worker_peak // _MB,
            "clickhouse_rss_mb": store_peak // _MB,
            "target_clickhouse_rss_mb": 1500,
            "raw_bytes_per_event": round(size, 1),
            "target_raw_bytes_per_event": 120,
        }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
