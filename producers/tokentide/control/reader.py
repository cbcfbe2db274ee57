"""Reads the control topic on the background thread, from its beginning and on, without a group.

Invariant: whatever happens here (no broker, no topic, no right to read it), events are not delayed
or miscounted by it, and the table keeps what it knows, with its age.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from tokentide.control.epoch import Epochs
from tokentide.control.poll import Poll
from tokentide.control.table import StateTable
from tokentide.delivery.counters import describe
from tokentide.delivery.quiet import ON_FAILURE
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings
from tokentide.settings.security import connection_options, without_secrets

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CONNECT_TIMEOUT_S = 15.0
SILENT_S = 60.0
"""Without an answer for so long the brokers may have moved: start again from bootstrap."""
POLL_MS = 500
FETCH_WAIT_MS = 2_000
"""Longest time that an answer without records takes; records are answered at once."""
REQUEST_TIMEOUT_MS = 10_000
RETRY_BACKOFF_MS = 250
FETCH_BYTES = 1024 * 1024


class ControlReader:
    """Fills a table until stopped.

    Args:
        settings: Brokers, their security, and the topic.
        table: Where states go.
        log: Where the one notice goes that nothing can be read.
    """

    def __init__(self, settings: Settings, table: StateTable, log: RateLimitedLog) -> None:
        self._settings = settings
        self._table = table
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._pause_s = FIRST_PAUSE_S

    def stop(self) -> None:
        """Make `run` end; on the loop."""
        if self._task is not None:
            self._task.cancel()

    async def run(self) -> None:
        """Read, and begin again after every failure, until stopped."""
        self._task = asyncio.current_task()
        ON_FAILURE.set(None)
        while True:
            try:
                await self._read()
            except Exception as exc:
                self._note(exc)
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1))  # noqa: S311
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap.split(","),
            client_id="tokentide-control",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            **connection_options(self._settings),
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await consumer.start()
                ends = await self._assign(consumer)
            self._pause_s = FIRST_PAUSE_S
            await self._follow(consumer, ends)
        finally:
            # A consumer that never started has nothing to leave, and may not know how.
            with contextlib.suppress(Exception):
                await consumer.stop()

    async def _assign(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Take all partitions from their beginnings; return where they end now."""
        topic = self._settings.control_topic
        # All topics are listed: asking for one by name creates it on brokers that allow that.
        if topic not in await consumer.topics():
            raise LookupError(f"there is no topic {topic} (TOKENTIDE_CONTROL_TOPIC)")
        consumer.assign([TopicPartition(topic, 0)])
        # aiokafka has no notification for when it has learned of a topic.
        while not (numbers := consumer.partitions_for_topic(topic)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        self._table.begin()
        return ends

    async def _follow(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        answered_at_s, answered_ms, is_at_end = time.monotonic(), 0, False
        poll, epochs = Poll(consumer, POLL_MS), Epochs()
        while True:
            fetched = await poll.records(ends)
            for records in fetched.values():
                for record in records:
                    if epochs.admits(record.headers, record.timestamp):
                        self._table.apply(record.key, record.value)
                    else:
                        self._table.overtaken += 1
            answers = [consumer.last_poll_timestamp(partition) or 0 for partition in ends]
            if min(answers) > answered_ms:
                answered_at_s, answered_ms = time.monotonic(), min(answers)
                self._table.note_answer()
            elif time.monotonic() - answered_at_s > SILENT_S:
                raise TimeoutError(f"the broker has not answered for {SILENT_S:.0f} s")
            if not is_at_end:
                # Never by an empty poll, which a slow answer makes too: states that are not read
                # again yet would be forgotten. Markers of transactions, which no reader is given,
                # move the position.
                is_at_end = all(
                    [await _is_read(consumer, place, end) for place, end in ends.items()]
                )
                if is_at_end:
                    self._table.reach_end()

    def _note(self, error: Exception) -> None:
        text = without_secrets(self._settings, describe(error))
        self._table.failures += 1
        self._table.last_error = text
        self._log.report(
            "control",
            "the state of runs and budgets cannot be read from %s: %s",
            self._settings.control_topic,
            text,
        )


async def _is_read(consumer: AIOKafkaConsumer, place: TopicPartition, end: int) -> bool:
    """Return whether a partition is read to where it ended, or ends by the newest answer."""
    position = await consumer.position(place)
    newest = consumer.highwater(place)
    return bool(position >= end or (newest is not None and position >= newest))
