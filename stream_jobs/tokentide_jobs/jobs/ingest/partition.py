"""One partition in a worker: lives its life (`core.batch.life`), one batch at a time.

Records collect here while the life's effects run in a thread. The partition ends in one of two
ways: drained (its last batch is written) or abandoned (the rest is left to the next owner, by the
ledger). Faust appears only as the callbacks in `Reader`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from tokentide_jobs.core.batch.breaker import Breaker
from tokentide_jobs.core.batch.byte_budget import ByteBudget
from tokentide_jobs.core.batch.ledger import Intent, LogPartition, Position
from tokentide_jobs.core.batch.life import (
    Acknowledge,
    Assignment,
    Begin,
    Claimed,
    Collect,
    Life,
    Step,
    partition_life,
)
from tokentide_jobs.core.batch.planner import Limits, OfferResult, PartitionPlanner, SealedBatch
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch, LedgerStore
from tokentide_jobs.jobs.ingest.driver import Abandoned, Driver
from tokentide_jobs.jobs.ingest.flush import Flush, Written
from tokentide_jobs.jobs.ingest.turns import Turns
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["AssignedPartition", "BatchWriter", "Observer", "Reader"]

_log = logging.getLogger(__name__)

_ROOM_LOOK_MS = 200
"""Between two looks whether the store has room again."""
_LAST_STEP_S = 1.0
"""How long a batch that is being written at the end of a drain may still take."""


class Reader(Protocol):
    """What a partition asks of the reader of the log."""

    async def read_again(self, log: LogPartition, offset: int) -> None:
        """Deliver the records from `offset` on once more."""

    def pause(self, log: LogPartition) -> None:
        """Fetch no more of this partition; what is under way is still delivered."""

    def resume(self, log: LogPartition) -> None:
        """Fetch again."""

    async def stored(self, log: LogPartition, end: int) -> None:
        """Acknowledge every record before `end`: it is stored."""


class Observer(Protocol):
    """Who counts what happens; all calls come from the event loop."""

    def batch_started(self, log: LogPartition) -> None:
        """Count a batch that is sealed and has its intent stored."""

    def batch_done(
        self, log: LogPartition, batch: SealedBatch[Record], outcome: Outcome, done: DoneBatch
    ) -> None:
        """Count a batch that is stored."""

    def overtaken(self, log: LogPartition) -> None:
        """Count a batch that another worker has finished."""

    def reread(self, log: LogPartition) -> None:
        """Note that offsets were missing and are read again."""

    def breaker_opened(self, log: LogPartition, pause_s: float) -> None:
        """Note that most recent events were refused and the partition rests."""


@dataclass(frozen=True, slots=True)
class BatchWriter:
    """What all partitions of a worker share for writing."""

    driver: Driver
    ledger: LedgerStore
    flush: Flush
    confirm: Callable[[LogPartition], None]
    """Makes sure that what was read until now is of this log, and raises where it cannot be."""
    propose: Callable[[LogPartition, int, int], Intent]
    """Makes an intent for `[start, end)` with this worker's clock, prices and window."""
    executor: Executor
    limits: Limits
    budget: ByteBudget
    new_breaker: Callable[[], Breaker]
    turns: Turns
    """Batches that may be written at a time."""
    must_wait: Callable[[], bool] = lambda: False
    """Whether no batch may be begun now: the store's disk is nearly full, or a repair looks."""


class AssignedPartition:
    """One assigned partition whose position is known. Belongs to one event loop.

    Args:
        log: Which partition.
        position: Where the ledger says to begin.
        life: Has just yielded the position.
        writer: Shared by the worker's partitions.
        reader: Reads the log.
        observer: Counts.
    """

    def __init__(
        self,
        log: LogPartition,
        position: Position,
        life: Life,
        writer: BatchWriter,
        reader: Reader,
        observer: Observer,
    ) -> None:
        self.log = log
        self.position = position.start
        self.planner: PartitionPlanner[Record] = PartitionPlanner(
            position.start, writer.limits, position.read_from, writer.budget
        )
        self.breaker = writer.new_breaker()
        self.is_paused = False
        self.is_writing = False
        self.last_record_ms = 0
        self.max_event_us: int | None = None
        """Greatest event time that was stored here, at most the clock of that moment."""
        self._life = life
        self._writer = writer
        self._reader = reader
        self._observer = observer
        self._is_draining = False
        self._is_ending = False
        self._wake = asyncio.Event()
        self._stop = threading.Event()
        self._to_collect = self._next_collect(life.send(None))
        self._task = asyncio.create_task(self._run(), name=f"partition-{log.partition}")
        self._task.add_done_callback(lambda _task: self.planner.leave())

    @classmethod
    async def begin(
        cls,
        given: Assignment,
        writer: BatchWriter,
        reader: Reader,
        observer: Observer,
        deadline_s: float,
    ) -> tuple[AssignedPartition, Position]:
        """Ask the ledger where to begin with a partition, and begin.

        Raises:
            Abandoned: The ledger did not answer before the deadline.
            InvariantViolation: Ledger and log contradict each other.
        """
        life = partition_life(
            given, writer.ledger, writer.confirm, writer.propose, writer.flush.write
        )
        loop, stop = asyncio.get_running_loop(), threading.Event()
        deadline = loop.call_later(deadline_s, stop.set)
        try:
            begin = await loop.run_in_executor(
                writer.executor, writer.driver.advance, life, None, stop
            )
        except asyncio.CancelledError:
            stop.set()  # no task waits for the answer any more: the retries must end
            raise
        finally:
            deadline.cancel()
        assert isinstance(begin, Begin)
        return cls(given.log, begin.position, life, writer, reader, observer), begin.position

    def oldest_record_ms(self) -> int:
        """Return Kafka's timestamp of the oldest record not stored yet, as far as it is known."""
        waiting = self.planner.oldest
        return self.last_record_ms if waiting is None else waiting.timestamp_ms

    @property
    def is_idle(self) -> bool:
        """Whether nothing is buffered and nothing is being written."""
        return self.planner.is_empty and not self.is_writing

    def on_failure(self, handle: Callable[[BaseException], None]) -> None:
        """Have `handle` called when the partition ends by an error that no retry can mend."""

        def look(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (exc := task.exception()) is not None:
                handle(exc)

        self._task.add_done_callback(look)

    async def offer(self, record: Record) -> OfferResult:
        """Take the next record of the log; only a record that is KEPT is to be acknowledged."""
        if self._is_draining:
            return OfferResult.DISCARDED  # the next owner reads it again
        was_empty = self.planner.is_empty
        verdict = self.planner.offer(record, _now_ms())
        if verdict is OfferResult.GAP:
            self._observer.reread(self.log)
            log_event(
                _log,
                logging.INFO,
                "reading_again",
                partition=self.log.partition,
                start=self.planner.expected,
                end=record.offset,
            )
            await self._reader.read_again(self.log, self.planner.expected)
        elif verdict is OfferResult.KEPT:
            if not self.is_paused and self.planner.is_full:
                self.is_paused = True
                self._reader.pause(self.log)
            if was_empty or self.planner.is_ready:
                self._wake.set()
        return verdict

    def seal_at(self, end: int) -> None:
        """Write what comes before `end` as soon as it is here: a window waits for it."""
        self.planner.seal_at(end)
        self._wake.set()

    async def drain(self, deadline_s: float) -> None:
        """Write what is buffered, then end; after the deadline leave it to the next owner."""
        self._is_draining = True
        self._wake.set()
        _done, pending = await asyncio.wait({self._task}, timeout=deadline_s)
        if pending:
            await self.abandon(_LAST_STEP_S)

    async def abandon(self, deadline_s: float) -> None:
        """End; a batch that is being written may finish within the deadline, no other begins."""
        self._is_draining = True
        self._is_ending = True
        if self.is_writing:
            await asyncio.wait({self._task}, timeout=deadline_s)
        # A step that is under way in its thread still ends by itself; its tokens make it harmless.
        self._stop.set()
        self._wake.set()
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=0.5)

    async def _run(self) -> None:
        while await self._is_due():
            try:
                asked = await self._write()
                if asked is None:
                    continue
                if asked.start > self._to_collect.start:
                    await self._reader.stored(self.log, asked.start)
            except Abandoned:
                return
            finally:
                self.is_writing = False
            self._to_collect = self._next_collect(asked)

    async def _write(self) -> Collect | None:
        """Write a batch when it is this partition's turn; None: now it may not be begun.

        The turn ends before the acknowledgement: that may wait long for the group's coordinator,
        and neither the turn nor the memory of what is stored waits with it.
        """
        # Sealed when its turn comes: until then it grows, and a large batch costs less.
        due = self._sealed()
        alone = due is not None and self._writer.limits.is_heavy(due)
        del due
        async with self._writer.turns.taken(alone=alone):
            batch = self._sealed()
            if batch is None or (self._writer.limits.is_heavy(batch) and not alone):
                return None
            self.is_writing, begun_ms = True, _now_ms()
            step = await self._advance(batch)
            del batch  # the life holds it as long as it is needed
            if isinstance(step, Claimed):
                self._observer.batch_started(self.log)
                step = await self._advance(None)
            if isinstance(step, Acknowledge):
                self._count(step)
                self.planner.rest_after(begun_ms, _now_ms() - begun_ms)
                # Only the next request follows: no thread is needed, and the life lets go of rows.
                step = self._life.send(None)
            assert isinstance(step, Collect)
            return step

    def _next_collect(self, step: Step) -> Collect:
        """Begin the batch that the life asks for."""
        assert isinstance(step, Collect)
        self.planner.begin_batch(step.start, step.end)
        self.position = step.start
        if self.is_paused and self.planner.has_room:
            self.is_paused = False
            self.planner.resume(_now_ms())
            self._reader.resume(self.log)
        return step

    async def _is_due(self) -> bool:
        """Wait until a batch is due; false: there is none, the partition ends."""
        while not self._is_ending:
            is_due = self._sealed() is not None
            if is_due or self._is_draining:
                return is_due
            await self._sleep(self._wait_ms())
        return False

    def _sealed(self) -> SealedBatch[Record] | None:
        """Return the batch that may be written now."""
        if self._is_ending or (self._rest_ms() and not self._is_draining):
            return None
        return self.planner.seal(_now_ms(), drain=self._is_draining)

    def _rest_ms(self) -> int:
        """Return how long no batch may be begun, even if one is due."""
        room_ms = _ROOM_LOOK_MS if self._writer.must_wait() else 0
        return max(room_ms, self.breaker.remaining_ms(_now_ms()))

    def _wait_ms(self) -> int | None:
        """Return the milliseconds until a batch may be due; None: only another record can."""
        return self._rest_ms() or self.planner.wait_ms(_now_ms())

    def _count(self, step: Acknowledge[Record, Written]) -> None:
        """Note what is stored."""
        self.position = step.end
        if step.batch is None or step.written is None:
            self._observer.overtaken(self.log)
        else:
            done = step.written.done
            self.last_record_ms = done.last_record_ms
            if done.events:
                newest_us = min(done.last_started_at_us, done.done_at_us)
                self.max_event_us = max(self.max_event_us or 0, newest_us)
            self._observer.batch_done(self.log, step.batch, step.written.outcome, done)
            refused = step.written.outcome.refused_by_record()
            if self.breaker.record(done.events, refused, _now_ms()):
                pause_s = self.breaker.remaining_ms(_now_ms()) / 1000
                self._observer.breaker_opened(self.log, pause_s)

    def _advance(self, answer: SealedBatch[Record] | None) -> Awaitable[Step]:
        """Go on with the life in a thread, up to its next request to the event loop."""
        return asyncio.get_running_loop().run_in_executor(
            self._writer.executor, self._writer.driver.advance, self._life, answer, self._stop
        )

    async def _sleep(self, wait_ms: int | None) -> None:
        """Wait for the next record, or at most so long."""
        self._wake.clear()
        try:
            timeout_s = None if wait_ms is None else wait_ms / 1000
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        except TimeoutError:
            return


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
