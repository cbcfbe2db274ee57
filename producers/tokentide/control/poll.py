"""Polls the control topic, and passes over what aiokafka cannot read.

aiokafka gives up a batch at a record with a header name that is not UTF-8, and would do so for
ever. The records before it are then read one by one, the others of its batch are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException

_UNREADABLE = (UnicodeDecodeError, CorruptRecordException)
"""What compiled aiokafka raises, and what it raises where it is not compiled."""


class Poll:
    """Asks one consumer for records.

    Args:
        consumer: With its partitions assigned.
        timeout_ms: How long to wait for records.
    """

    def __init__(self, consumer: AIOKafkaConsumer, timeout_ms: int) -> None:
        self._consumer = consumer
        self._timeout_ms = timeout_ms
        self._reads_one_by_one = False

    async def records(
        self, places: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, Sequence[Any]]:
        """Return new records; none may mean that there are some which cannot be read."""
        if self._reads_one_by_one:
            return await self._one_by_one(places)
        try:
            fetched: Mapping[TopicPartition, Sequence[Any]] = await self._consumer.getmany(
                timeout_ms=self._timeout_ms
            )
            return fetched
        except _UNREADABLE:
            self._reads_one_by_one = True
            return {}

    async def _one_by_one(
        self, places: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, Sequence[Any]]:
        found: dict[TopicPartition, Sequence[Any]] = {}
        has_failed = False
        for place in places:
            try:
                found |= await self._consumer.getmany(
                    place, timeout_ms=self._timeout_ms, max_records=1
                )
            except _UNREADABLE:
                has_failed = True
                self._consumer.seek(place, await self._consumer.position(place) + 1)
        self._reads_one_by_one = has_failed or bool(found)
        return found
