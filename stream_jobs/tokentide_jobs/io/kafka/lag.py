"""How long the oldest records have waited: the timestamps of the records at given offsets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.kafka.bounded_fetch import bounded_consumer, records_per_poll
from tokentide_jobs.settings.origins import origin_of

__all__ = ["record_times_ms"]

_DEADLINE_S: Final = 5.0
_FETCH_BYTES: Final = 64 * 1024


async def record_times_ms(
    bootstrap: str,
    spans: Mapping[tuple[str, int], tuple[int, int]],
    *,
    is_committed: bool = True,
) -> dict[tuple[str, int], int | None]:
    """Return the timestamp (epoch ms) of the first record in a range of offsets, by partition.

    None: there is none that a reader gets, only markers of transactions and what these took back.
    Partitions whose record has no time or does not come within some seconds are left out.

    Args:
        bootstrap: `host:port`, several separated by commas.
        spans: Offsets [start, end), by topic and partition.
        is_committed: Read what readers are given; else also what an open transaction holds back.

    Raises:
        ServiceUnreachable: No broker answers.
    """
    consumer = bounded_consumer(
        bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if is_committed else "read_uncommitted",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    found: dict[tuple[str, int], int | None] = {}
    try:
        await consumer.start()
        consumer.assign([TopicPartition(*place) for place in spans])
        for place, (start, _end) in spans.items():
            consumer.seek(TopicPartition(*place), start)
        deadline = time.monotonic() + _DEADLINE_S
        while found.keys() != spans.keys() and time.monotonic() < deadline:
            most = records_per_poll(consumer, None)
            fetched = await consumer.getmany(timeout_ms=200, max_records=most)
            for part, messages in fetched.items():
                if messages and messages[0].timestamp >= 0:
                    found.setdefault((part.topic, part.partition), messages[0].timestamp)
                    consumer.pause(part)
            for place in spans.keys() - found.keys():
                if await consumer.position(TopicPartition(*place)) >= spans[place][1]:
                    found[place] = None
    except KafkaConnectionError as exc:
        raise ServiceUnreachable(
            f"Kafka does not answer at {bootstrap} ({origin_of('kafka_bootstrap')})"
        ) from exc
    finally:
        await consumer.stop()
    return found
