"""Where the time goes between the end of a window and its rows, and between a call and its state.

Read after a run from what the pipeline wrote anyway: times of Kafka's records, the ledger, and the
rows. Each stage begins where the one before it ends, so that the stages of a kind add up.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from aiokafka import AIOKafkaConsumer, TopicPartition
from clickhouse_connect.driver.client import Client

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import PROGRESS_SCHEMA, ProgressMark
from tokentide_jobs.io.kafka.offsets import offset_ranges
from tokentide_schemas.topics import CONTROL, WINDOWS_TOPIC

__all__ = ["Call", "Timeline", "call_stages", "read_timeline", "window_stages"]

_SETTLE_S: Final = 1.0
_PROBE: Final = "probe-"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that spends a budget: when it ended, and when an answer knew of it (epoch seconds)."""

    tenant: str
    budget: str
    ended_s: float
    known_s: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened when, in epoch seconds.

    Attributes:
        marks: By source partition: (written, complete up to, position).
        batches: By source partition: (end offset, sealed, done).
        deltas: By tenant of a probe: when its delta was written.
        states: By budget: when its states were written.
        probes: By tenant of a probe: when its batch was sealed.
    """

    marks: Mapping[int, Sequence[tuple[float, float, int]]]
    batches: Mapping[int, Sequence[tuple[int, float, float]]]
    deltas: Mapping[str, float]
    states: Mapping[str, Sequence[float]]
    probes: Mapping[str, float]


async def read_timeline(client: Client, bootstrap: str) -> Timeline:
    """Read what a run has left."""
    marks: defaultdict[int, list[tuple[float, float, int]]] = defaultdict(list)
    deltas: dict[str, float] = {}
    for record in await _records(bootstrap, WINDOWS_TOPIC.name):
        headers, at_s = dict(record.headers), record.timestamp / 1e3
        if headers["schema"] == PROGRESS_SCHEMA.encode():
            log = LogPartition("", headers["topic"].decode(), int(headers["partition"]))
            mark = ProgressMark.from_json(log, record.value)
            if log.topic.startswith("tokentide.events") and mark.arrived_us is not None:
                marks[log.partition].append((at_s, mark.arrived_us / 1e6, mark.position))
        elif headers["schema"] == b"windows.v1":
            tenants = pa.ipc.open_stream(record.value).read_all().column("tenant").unique()
            for tenant in map(str, tenants):
                if tenant.startswith(_PROBE):
                    deltas.setdefault(tenant, at_s)
    states: defaultdict[str, list[float]] = defaultdict(list)
    for record in await _records(bootstrap, CONTROL.name):
        if record.value and b'"budget"' in record.value:
            states[json.loads(record.value)["budget"]].append(record.timestamp / 1e3)
    batches: defaultdict[int, list[tuple[int, float, float]]] = defaultdict(list)
    for partition, *batch in client.query(
        "SELECT partition, end_offset, sealed_at_us / 1e6, done_at_us / 1e6 FROM ingest_positions"
        " WHERE topic LIKE 'tokentide.events%' ORDER BY partition, end_offset"
    ).result_rows:
        batches[partition].append((batch[0], batch[1], batch[2]))
    probes = client.query(
        "SELECT tenant, toUnixTimestamp64Micro(min(ingested_at)) / 1e6 FROM raw_requests"
        f" WHERE startsWith(tenant, '{_PROBE}') GROUP BY tenant"
    ).result_rows
    return Timeline(
        marks, batches, deltas, states, {str(tenant): float(at_s) for tenant, at_s in probes}
    )


def window_stages(timeline: Timeline, rows_s: Mapping[int, float]) -> dict[str, object]:
    """Return the stages of windows, of the partition that each waited for longest.

    Args:
        timeline: What happened.
        rows_s: By end of a window, when its first row was written (epoch seconds).
    """
    found: defaultdict[str, list[float]] = defaultdict(list)
    for end_s, row_s in sorted(rows_s.items()):
        waited = [
            next((mark for mark in marks if mark[1] >= end_s + _SETTLE_S), None)
            for marks in timeline.marks.values()
        ]
        if not waited or None in waited:
            continue
        partition, (written_s, asked_s, position) = max(
            zip(timeline.marks, filter(None, waited), strict=True), key=lambda one: one[1][0]
        )
        batch = next((b for b in timeline.batches[partition] if b[0] >= position), None)
        if batch is None:
            continue
        _end, sealed_s, done_s = batch
        found["settle"].append(_SETTLE_S)
        found["until_the_end_of_the_log_is_asked"].append(asked_s - end_s - _SETTLE_S)
        found["until_the_batch_is_sealed"].append(sealed_s - asked_s)
        found["batch_is_written"].append(done_s - sealed_s)
        found["until_its_mark"].append(written_s - done_s)
        found["until_the_row"].append(row_s - written_s)
    return _shown(found)


def call_stages(timeline: Timeline, calls: Iterable[Call]) -> dict[str, object]:
    """Return the stages of calls up to the answer that knows of them."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for call in calls:
        sealed_s, delta_s = timeline.probes.get(call.tenant), timeline.deltas.get(call.tenant)
        states = timeline.states.get(call.budget, ())
        if sealed_s is None or delta_s is None:
            continue
        state_s = next((at_s for at_s in states if at_s >= delta_s), None)
        if state_s is None:
            continue
        found["until_the_batch_is_sealed"].append(sealed_s - call.ended_s)
        found["until_the_delta"].append(delta_s - sealed_s)
        found["until_the_state"].append(state_s - delta_s)
        found["until_the_answer"].append(call.known_s - state_s)
    return _shown(found)


def batch_stages(timeline: Timeline) -> dict[str, object]:
    """Return how long batches took from being sealed to their done row."""
    took = [done - sealed for one in timeline.batches.values() for _, sealed, done in one]
    return {"batches": len(took), **_shown({"written": took})}


def _shown(stages: Mapping[str, Sequence[float]]) -> dict[str, object]:
    return {
        name: f"p50 {statistics.median(took):.2f} s, longest {max(took):.2f} s"
        for name, took in stages.items()
        if took
    }


async def _records(bootstrap: str, topic: str) -> list[Any]:
    """Return all records of a topic, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        ranges = await offset_ranges(bootstrap, topic)
        ends = {TopicPartition(topic, number): one.end for number, one in ranges.items()}
        consumer.assign(list(ends))
        await consumer.seek_to_beginning(*ends)
        found: list[Any] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            fetched = await consumer.getmany(timeout_ms=1_000)
            found += _each(fetched.values())
        return found
    finally:
        await consumer.stop()


def _each(fetched: Iterable[Sequence[Any]]) -> Iterator[Any]:
    for records in fetched:
        yield from records
