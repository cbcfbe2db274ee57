"""Recorded traces taken through the real write path, without a broker in between.

Records are framed as a producer frames them and go through decoding, pricing, folding and the write
protocol into ClickHouse. Frames are dealt over partitions, so that a window is put together from
deltas of several batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.jobs.ingest.flush import Flush, Written
from tokentide_jobs.replay.workload import prepare

FRAME_EVENTS = 100
PARTITIONS = 4
BATCH_RECORDS = 60


class NoKafka:
    """What is published besides goes nowhere."""

    def publish_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        raise AssertionError(
            f"a recorded event was refused: {dead_letters.slice(0, 1).to_pylist()}"
        )

    def publish_deltas(self, table: str, deltas: pa.Table, intent: Intent) -> None:
        return


def replay_into(store: ClickHouse, trace: str, end_us: int, log_id: str) -> int:
    """Write all events of a packaged trace, their recorded spacing ending at `end_us`.

    Returns:
        How many events were written.
    """
    frames = list(_frames(trace, end_us))
    flush = Flush(
        store,
        LedgerStore(store),
        NoKafka(),
        lambda _version: compile_cards(),
        lambda: end_us,
        "replayed",
        60_000_000,
    )
    events = 0
    for partition in range(PARTITIONS):
        values = frames[partition::PARTITIONS]
        for start in range(0, len(values), BATCH_RECORDS):
            part = values[start : start + BATCH_RECORDS]
            records = tuple(
                Record(partition, start + place, end_us // 1000, value)
                for place, value in enumerate(part)
            )
            intent = Intent(
                log=LogPartition(log_id, "tokentide.events.v1", partition),
                start=start,
                end=start + len(part),
                price_version=compile_cards().price_version,
                accepted_from_us=0,
                accepted_until_us=end_us + 1,
                sealed_at_us=end_us,
                worker="replayed",
            )
            events += _write(flush, intent, records)
    return events


def _frames(trace: str, end_us: int) -> Iterator[bytes]:
    workload = prepare(trace, seed=1)
    lines: list[bytes] = []
    for at_s, event in workload.events():
        event["started_at_us"] = end_us - int((workload.span_s - at_s) * 1e6)
        lines.append(orjson.dumps(event))
        if len(lines) == FRAME_EVENTS:
            yield b"\n".join(lines)
            lines = []
    if lines:
        yield b"\n".join(lines)


def _write(flush: Flush, intent: Intent, records: tuple[Record, ...]) -> int:
    batch = SealedBatch(intent.start, intent.end, records, 1, "rows")
    flow = flush.write(batch, intent, False)
    effect = next(flow)
    while True:
        result = effect.run()
        try:
            effect = flow.send(result)
        except StopIteration as finished:
            written: Written = finished.value
            return written.outcome.events
