"""Batches of events, and a flush that writes them, for tests of the write protocol."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.jobs.ingest.flush import Flush, Written

NOW_US = time.time_ns() // 1000
HOUR_US = 3_600_000_000


class NoKafka:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.dead_letters: list[str] = []

    def publish_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        self.dead_letters += dead_letters["reason"].to_pylist()

    def publish_deltas(self, table: str, deltas: pa.Table, intent: Intent) -> None:
        return


def intent_of(log: LogPartition, start: int, end: int, worker: str = "w", at_us: int = 0) -> Intent:
    return Intent(
        log=log,
        start=start,
        end=end,
        price_version=compile_cards().price_version,
        accepted_from_us=NOW_US - HOUR_US,
        accepted_until_us=NOW_US + HOUR_US,
        sealed_at_us=at_us or NOW_US,
        worker=worker,
        subject_kinds=("user", "run"),
        max_subjects=100,
    )


def event(**changes: Any) -> dict[str, Any]:
    return {
        "type": "request",
        "event_id": str(uuid.uuid4()),
        "started_at_us": NOW_US,
        "service": "chat",
        "provider": "openai",
        "operation": "chat",
        "status": "ok",
        "request_model": "gpt-4o",
        "duration_ms": 12.5,
        "input_tokens": 100,
        "output_tokens": 10,
        "run_id": f"run of {changes.get('service')}",
        **changes,
    }


def batch_of(start: int, values: list[bytes]) -> SealedBatch[Record]:
    records = tuple(
        Record(0, start + number, NOW_US // 1000, value) for number, value in enumerate(values)
    )
    return SealedBatch(start, start + len(values), records, 1, "age")


def frame(count: int, **changes: Any) -> bytes:
    return b"\n".join(json.dumps(event(**changes)).encode() for _ in range(count))


def flush_of(store: ClickHouse, now_us: int, publisher: NoKafka | None = None) -> Flush:
    return Flush(
        store,
        LedgerStore(store),
        publisher or NoKafka(),
        lambda _version: compile_cards(),
        lambda: now_us,
        "w",
        60_000_000,
    )


def drive(
    flush: Flush, batch: SealedBatch[Record], intent: Intent, stop_before: str = ""
) -> Written | None:
    """Run a flush to its end, or until just before a step."""
    flow = flush.write(batch, intent, True)
    effect = next(flow)
    while True:
        if stop_before and effect.name == stop_before:
            flow.close()
            return None
        try:
            result = effect.run()
        except RowsRefused as exc:
            effect = flow.throw(exc)
            continue
        try:
            effect = flow.send(result)
        except StopIteration as finished:
            written: Written | None = finished.value
            return written


def counts(store: ClickHouse, log: LogPartition) -> tuple[int, int, int]:
    """Raw rows, counted window events of its service, done rows."""
    database = store.database
    parameters = {"log_id": log.log_id}
    (row,) = store.rows(
        f"SELECT (SELECT count() FROM {database}.raw_requests WHERE log_id = {{log_id:String}}), "
        f"(SELECT sum(events) FROM {database}.windows_10s WHERE service = {{log_id:String}}), "
        f"(SELECT count() FROM {database}.ingest_positions WHERE log_id = {{log_id:String}})",
        parameters,
    )
    return int(row[0]), int(row[1]), int(row[2])


class ForgetfulStore(ClickHouse):
    """A store that has forgotten every token: each insert is new to it."""

    def __init__(self, store: ClickHouse) -> None:
        super().__init__(store._url, store.database)

    def insert(self, table: str, rows: Any, token: str) -> None:
        super().insert(table, rows, f"{token}/{uuid.uuid4()}")
