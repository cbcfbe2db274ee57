"""Reads ranges of offsets of a topic once, by a consumer of no group: for looking back.

Only committed records are given, and none outside of the ranges. It ends when every range was read,
or raises when the broker stops sending.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.kafka.bounded_fetch import bounded_consumer, records_per_poll
from tokentide_jobs.settings.origins import origin_of

__all__ = ["Span", "read_spans"]

Span = tuple[int, int]
"""Offsets [start, end)."""

_SILENCE_S: Final = 20.0
"""Give up when reading comes no further for so long although records are there. What a transaction
took back is read too, however long it is, and never given: it is no silence."""


async def read_spans(
    bootstrap: str,
    topic: str,
    spans: Mapping[int, Sequence[Span]],
    take: Callable[[int, Any], None],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Read ranges of offsets.

    Args:
        bootstrap: `host:port`, several separated by commas.
        topic: The topic.
        spans: By partition, ranges in ascending order that do not overlap and end no later than
            the log.
        take: Given the start of the range and the record, as aiokafka has it.
        progress: Called, after every fetch, with how many offsets are done and how many there are.

    Raises:
        ServiceUnreachable: The broker does not answer, or stops sending.
    """
    wanted = {
        TopicPartition(topic, part): [span for span in ranges if span[0] < span[1]]
        for part, ranges in spans.items()
    }
    wanted = {part: ranges for part, ranges in wanted.items() if ranges}
    if not wanted:
        return
    consumer = bounded_consumer(
        bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    try:
        await consumer.start()
        consumer.assign(list(wanted))
        for part, ranges in wanted.items():
            consumer.seek(part, ranges[0][0])
        await _read(consumer, wanted, take, progress)
    except KafkaConnectionError as exc:
        raise ServiceUnreachable(
            f"Kafka does not answer at {bootstrap} ({origin_of('kafka_bootstrap')})"
        ) from exc
    finally:
        await consumer.stop()


async def _read(
    consumer: Any,
    wanted: Mapping[Any, Sequence[Span]],
    take: Callable[[int, Any], None],
    progress: Callable[[int, int], None],
) -> None:
    """Fetch until every partition is past its last range."""
    left = {part: ranges[-1][1] - ranges[0][0] for part, ranges in wanted.items()}
    total = sum(left.values())
    progress(0, total)
    starts = {part: [start for start, _end in ranges] for part, ranges in wanted.items()}
    positions = {part: ranges[0][0] for part, ranges in wanted.items()}
    open_parts = set(wanted)
    moved_s = time.monotonic()
    while open_parts:
        most = records_per_poll(consumer, None)
        fetched = await consumer.getmany(timeout_ms=500, max_records=most)
        for part, messages in fetched.items():
            ranges = wanted[part]
            for message in messages:
                place = bisect_right(starts[part], message.offset) - 1
                if place >= 0 and message.offset < ranges[place][1]:
                    take(ranges[place][0], message)
        for part in sorted(open_parts):
            # The position also moves over what is no record: markers of transactions.
            position = await consumer.position(part)
            if position != positions[part]:
                positions[part], moved_s = position, time.monotonic()
            left[part] = max(0, wanted[part][-1][1] - position)
            if not left[part]:
                open_parts.discard(part)
                consumer.pause(part)
        progress(total - sum(left.values()), total)
        if open_parts and time.monotonic() - moved_s > _SILENCE_S:
            stuck = ", ".join(str(part.partition) for part in sorted(open_parts))
            raise ServiceUnreachable(
                f"Kafka sent nothing for {_SILENCE_S:g} s although partitions {stuck} hold records"
            )
        await asyncio.sleep(0)
