"""The ingest job: a Faust agent that hands records to partitions, and the life cycle around it.

Wiring only. What happens to a batch is in `flush`, when it happens in `partition`, where reading
begins in `core.batch.ledger`. Nothing is acknowledged to Kafka before its rows are stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from faust.types import TP, EventT, StreamT

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.life import Assignment
from tokentide_jobs.core.batch.planner import OfferResult
from tokentide_jobs.core.record.record import Record, record_ms
from tokentide_jobs.core.record.topics import partition_label
from tokentide_jobs.errors import InvariantViolation, LogReplaced
from tokentide_jobs.io.kafka.offsets import OffsetRange, offset_ranges
from tokentide_jobs.jobs.ingest.observer import IngestObserver
from tokentide_jobs.jobs.ingest.partition import AssignedPartition, BatchWriter
from tokentide_jobs.jobs.runtime.faust_app import JobApp, JobConsumer
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.settings import Settings

__all__ = ["IngestJob"]

_log = logging.getLogger(__name__)

_LEDGER_DEADLINE_S = 60.0
"""Below Faust's own limit of 90 s, after which it would never look for positions again."""


class IngestJob:
    """One worker's partitions. Belongs to one event loop.

    Args:
        settings: Deadlines and names.
        log_ids: The incarnation of every topic that is read.
        writer: Writes batches.
        observer: Observes.
        health: Shown at `/healthz` and `/readyz`.
    """

    def __init__(
        self,
        settings: Settings,
        log_ids: Mapping[str, str],
        writer: BatchWriter,
        observer: IngestObserver,
        health: Health,
    ) -> None:
        self.partitions: dict[TP, AssignedPartition] = {}
        self.stopped: set[TP] = set()
        self.moved = asyncio.Event()
        """Set whenever the position of a partition has moved; the task that waits clears it."""
        self._settings = settings
        self._log_ids = log_ids
        self._writer = writer
        self._observer = observer
        self._health = health
        self._app: JobApp | None = None
        self._after_drain: Callable[[], Awaitable[None]] | None = None
        self._stream: StreamT[bytes] | None = None
        self._crash: asyncio.Future[None] | None = None
        self._unacked: dict[TP, deque[tuple[int, EventT[bytes]]]] = defaultdict(deque)
        self._revocations: defaultdict[TP, int] = defaultdict(int)
        self._is_ending = False

    def attach(self, app: JobApp, after_drain: Callable[[], Awaitable[None]]) -> None:
        """Add the agent and the hooks to the app; `after_drain` ends what the app uses."""
        self._app = app
        self._after_drain = after_drain
        app.is_paused = self._is_paused
        topic = app.topic(
            *self._log_ids,
            key_type=bytes,
            key_serializer="raw",
            value_type=bytes,
            value_serializer="raw",
        )

        @app.agent(topic, name="ingest", concurrency=1)
        async def ingest(stream: StreamT[bytes]) -> None:
            self._stream = stream
            unacknowledged: Any = stream  # its published type lacks `noack`
            async for event in unacknowledged.noack().events():
                await self.take(event)

        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_before_shutdown.connect(self._on_shutdown, weak=False)

    async def take(self, event: EventT[bytes]) -> None:
        """Hand one Kafka record to its partition."""
        message: Any = event.message
        tp = message.tp
        partition = self.partitions.get(tp)
        if partition is None:
            return  # revoked meanwhile, or stopped: the next owner reads it
        stamp_ms, value = record_ms(message.timestamp), message.value
        record = Record(tp.partition, message.offset, stamp_ms, b"" if value is None else value)
        if await partition.offer(record) is OfferResult.KEPT:
            self._unacked[tp].append((message.offset, event))

    async def positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Return where to begin with each partition; start those that are new.

        Raises:
            Abandoned: ClickHouse did not answer in time; the worker must leave the group.
        """
        begin: dict[TP, int] = {
            tp: partition.planner.expected
            for tp, partition in self.partitions.items()
            if tp in assigned
        }
        new = {tp for tp in assigned if tp not in begin and tp.topic in self._log_ids}
        if not new:
            return begin
        ranges = {
            topic: await offset_ranges(self._settings.kafka_bootstrap, topic)
            for topic in sorted({tp.topic for tp in new})
        }
        committed = await self._consumer().committed(new)
        ordered = sorted(new)
        found = await asyncio.gather(
            *(self._begin(tp, ranges[tp.topic][tp.partition], committed[tp]) for tp in ordered)
        )
        begin |= {tp: at for tp, at in zip(ordered, found, strict=True) if at is not None}
        self._health.starting("")
        return begin

    async def read_again(self, log: LogPartition, offset: int) -> None:
        """Deliver the records from `offset` on once more."""
        await self._consumer().seek_partitions({TP(log.topic, log.partition): offset})

    def pause(self, log: LogPartition) -> None:
        """Fetch no more of this partition; what is in flight is still delivered.

        Faust's `pause_partitions` would drop records it has fetched; a full buffer does not.
        """
        self._consumer().on_buffer_full(TP(log.topic, log.partition))

    def resume(self, log: LogPartition) -> None:
        """Fetch again."""
        self._consumer().on_buffer_drop(TP(log.topic, log.partition))

    async def stored(self, log: LogPartition, end: int) -> None:
        """Acknowledge everything before `end`, and commit it.

        What is committed is the end of a batch, also where offsets before it hold no record.
        """
        self.moved.set()
        tp = TP(log.topic, log.partition)
        unacked = self._unacked[tp]
        while unacked and unacked[0][0] < end:
            _offset, event = unacked.popleft()
            if self._stream is not None:
                await self._stream.ack(event)
        if tp in self.partitions:
            self._consumer().stored(tp, end)
            await self._consumer().commit_soon()

    async def _begin(self, tp: TP, available: OffsetRange, committed: int | None) -> int | None:
        log = LogPartition(self._log_ids[tp.topic], tp.topic, tp.partition)
        given = Assignment(log, available.start, available.end, committed)
        revocations = self._revocations[tp]
        try:
            partition, position = await AssignedPartition.begin(
                given, self._writer, self, self._observer, _LEDGER_DEADLINE_S
            )
        except InvariantViolation as exc:
            self.stopped.add(tp)
            label = partition_label(tp.topic, tp.partition)
            self._health.partition_stopped(label, str(exc))
            log_event(_log, logging.CRITICAL, "partition_stopped", partition=label, error=str(exc))
            return None
        other = self.partitions.get(tp)
        if other is not None or self._revocations[tp] != revocations or self._is_ending:
            # Faust may ask twice at a time, and a partition or the worker may end meanwhile:
            # nothing would end this one, and its task would be destroyed while it waits.
            await partition.abandon(0.0)
            return None if other is None else other.planner.expected
        self.stopped.discard(tp)
        self._observer.found(log, position.findings)
        log_event(
            _log,
            logging.INFO,
            "partition_assigned",
            topic=log.topic,
            partition=log.partition,
            log_id=log.log_id,
            start=position.start,
            end=available.end,
        )
        partition.on_failure(self._fail)
        self.partitions[tp] = partition
        self._unacked[tp].clear()
        return position.read_from

    async def _on_assigned(self, *args: Any, **_kwargs: Any) -> None:
        _app, assigned = args
        if not assigned:
            self._health.starting("")  # more workers than partitions: it stands by

    async def _on_revoked(self, *args: Any, **_kwargs: Any) -> None:
        _app, revoked = args
        for tp in revoked:
            self._revocations[tp] += 1
        leaving = {tp: self.partitions.pop(tp) for tp in list(self.partitions) if tp in revoked}
        deadline_s = min(self._settings.drain_s, self._settings.session_timeout_ms / 1000 * 0.4)
        started_s = time.monotonic()
        await asyncio.gather(*(partition.abandon(deadline_s) for partition in leaving.values()))
        for tp, partition in leaving.items():
            self._unacked.pop(tp, None)
            self._observer.released(partition.log)
        self.stopped.difference_update(revoked)
        log_event(
            _log,
            logging.INFO,
            "partitions_revoked",
            partitions=sorted(partition_label(tp.topic, tp.partition) for tp in leaving),
            took_s=round(time.monotonic() - started_s, 3),
        )

    async def _on_shutdown(self, *_args: Any, **_kwargs: Any) -> None:
        self._health.stopping()
        self._is_ending = True
        await asyncio.gather(
            *(partition.drain(self._settings.drain_s) for partition in self.partitions.values())
        )
        if self._after_drain is not None:
            await self._after_drain()

    def _fail(self, exc: BaseException) -> None:
        """End the worker, loudly: a partition failed by an error that is no outage."""
        what = "topic_recreated" if isinstance(exc, LogReplaced) else "partition_failed"
        log_event(_log, logging.CRITICAL, what, error=repr(exc))
        assert self._app is not None
        self._crash = asyncio.ensure_future(self._app.crash(exc))

    def _is_paused(self, tp: TP) -> bool:
        partition = self.partitions.get(tp)
        return partition is not None and partition.is_paused

    def _consumer(self) -> JobConsumer:
        assert self._app is not None
        consumer = self._app.consumer
        assert isinstance(consumer, JobConsumer)
        return consumer
