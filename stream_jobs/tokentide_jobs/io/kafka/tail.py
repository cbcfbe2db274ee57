"""Whether the end of a log holds records at all.

Markers of transactions and aborted records have offsets too, and no reader ever gets them: a log
may end beyond the last record that can be read. Only reading shows it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.kafka.bounded_fetch import bounded_consumer

__all__ = ["partitions_with_records"]

_DEADLINE_S: Final = 10.0


async def partitions_with_records(
    bootstrap: str, topic: str, spans: Mapping[int, tuple[int, int]]
) -> set[int]:
    """Return the partitions that hold a committed record in their range of offsets, or may.

    Args:
        bootstrap: `host:port`, several separated by commas.
        topic: The topic.
        spans: By partition, offsets [start, end).

    Raises:
        ServiceUnreachable: The broker does not answer.
    """
    parts = {TopicPartition(topic, part): span for part, span in spans.items()}
    consumer = bounded_consumer(bootstrap, isolation_level="read_committed", max_poll_records=1)
    found: set[int] = set()
    undecided = set(parts)
    give_up_at = time.monotonic() + _DEADLINE_S
    try:
        await consumer.start()
        consumer.assign(list(parts))
        for part, (start, _end) in parts.items():
            consumer.seek(part, start)
        while undecided and time.monotonic() < give_up_at:
            for part, messages in (await consumer.getmany(*undecided, timeout_ms=200)).items():
                if any(message.offset < parts[part][1] for message in messages):
                    found.add(part.partition)
                    undecided.discard(part)
            for part in sorted(undecided):
                if await consumer.position(part) >= parts[part][1]:
                    undecided.discard(part)
    except KafkaError as exc:
        raise ServiceUnreachable(f"Kafka does not answer at {bootstrap}: {exc!r}") from exc
    finally:
        await consumer.stop()
    return found | {part.partition for part in undecided}
