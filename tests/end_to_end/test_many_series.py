"""A record or a batch in which every event is a series of its own is stored as any other.

Window deltas are inserted whole, never in halves: what the largest record makes of them must fit.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.chaos.live import LiveWorker
from tests.commands import verified
from tests.end_to_end.test_hostile_records import (
    BY_THE_LEDGER,
    MOST_TIMES,
    PATIENT,
    producing,
    steady_bytes,
)
from tests.end_to_end.worker_memory import watched_memory
from tests.sampling import in_thorough
from tokentide_jobs.core.record.split import MAX_RECORD_BYTES, MAX_RECORD_EVENTS
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_schemas.topics import EVENTS

pytestmark = pytest.mark.integration


def series_record(first: int, events: int) -> bytes:
    """Return a record of calls, each of another tenant, user and run."""
    now_us = time.time_ns() // 1_000
    return b"\n".join(
        json.dumps(
            {
                "type": "request", "event_id": f"{number:08x}-0000-4000-8000-000000000000",
                "started_at_us": now_us, "service": "c", "tenant": f"t{number}",
                "run_id": f"r{number}", "user_hash": f"u{number}", "provider": "openai",
                "operation": "chat", "status": "ok", "request_model": "gpt-4o-mini",
                "duration_ms": 1, "input_tokens": 1, "output_tokens": 1,
            },
            separators=(",", ":"),
        ).encode()
        for number in range(first, first + events)
    )  # fmt: skip


@in_thorough  # the records of a usual run are inserted by the same statements
def test_the_deltas_of_the_largest_records_fit_in_one_insert(tmp_path: Path) -> None:
    largest = series_record(0, MAX_RECORD_EVENTS - 1_000)
    assert MAX_RECORD_BYTES * 0.9 < len(largest) < MAX_RECORD_BYTES
    of_15_000, sent = series_record(MAX_RECORD_EVENTS, 15_000), 0
    with (
        Stack(tmp_path / "data", broker="kafka") as stack,
        LiveWorker(stack, tmp_path / "w.log", **PATIENT) as worker,
        producing(stack, "zstd") as send,
    ):
        steady = steady_bytes(stack, worker)
        before = verified(stack.data_dir, 300, BY_THE_LEDGER)["raw_events"]
        for record in (of_15_000, largest):
            with watched_memory(worker) as seen:
                send([(EVENTS.name, 0, record)])
                report = verified(stack.data_dir, 900, BY_THE_LEDGER)
            sent += record.count(b"\n") + 1
            assert report["ok"], report
            assert (report["raw_events"] - before, report["dead_letters"]) == (sent, 0)
            printed = f"{steady / 1e6:.0f} MB, {max(seen) / 1e6:.0f} with {len(record):,} bytes"
            print(printed)
            assert max(seen) < MOST_TIMES * steady, printed
        assert all(batch["retries"] == 0 for batch in worker.events("batch_done"))
