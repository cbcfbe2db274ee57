"""One partition in a worker: collects records, seals batches, has them written, one at a time.

While a batch is written in a thread, the next one collects. The partition ends in one of two ways:
drained (its last batch is written) or abandoned (the rest is left to the next owner, by the
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
from typing import Protocol, TypeVar

from tokentide_jobs.core.batch.breaker import Breaker
from tokentide_jobs.core.batch.ledger import Intent, LogPartition, Position
from tokentide_jobs.core.batch.planner import Limits, PartitionPlanner, SealedBatch, Verdict
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.clickhouse.ledger_store import Claim, DoneBatch, LedgerStore
from tokentide_jobs.jobs.ingest.driver import Abandoned, Driver
from tokentide_jobs.jobs.ingest.flush import Flush, FlushTimes
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["BatchWriter", "Observer", "PartitionWorker", "Reader"]

_log = logging.getLogger(__name__)

_ROOM_LOOK_MS = 200
"""Between two looks whether the store has room again."""

T = TypeVar("T")


class Reader(Protocol):
    """What a partition asks of whoever reads the log."""

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
        """Note that most recent events were bad and the partition rests."""


@dataclass(frozen=True, slots=True)
class BatchWriter:
    """What all partitions of a worker share for writing."""

    driver: Driver
    ledger: LedgerStore
    flush: Flush
    propose: Callable[[LogPartition, int, int], Intent]
    """Makes an intent for `[start, end)` with this worker's clock, prices and window."""
    executor: Executor
    limits: Limits
    new_breaker: Callable[[], Breaker]
    must_wait: Callable[[], bool] = lambda: False
    """Whether nothing may be written now because the store's disk is nearly full."""


class PartitionWorker:
    """The life of one assigned partition. Belongs to one event loop.

    Args:
        log: Which partition.
        position: Where the ledger says to begin.
        writer: Shared by the worker's partitions.
        reader: Reads the log.
        observer: Counts.
    """

    def __init__(
        self,
        log: LogPartition,
        position: Position,
        writer: BatchWriter,
        reader: Reader,
        observer: Observer,
    ) -> None:
        self.log = log
        self.position = position.start
        self.planner: PartitionPlanner[Record] = PartitionPlanner(
            position.start,
            writer.limits,
            expected=position.read_from,
            bound_end=position.intent.end if position.intent else None,
        )
        self.breaker = writer.new_breaker()
        self.is_paused = False
        self.is_writing = False
        self.last_record_ms = 0
        self._open = position.intent
        self._writer = writer
        self._reader = reader
        self._observer = observer
        self._is_draining = False
        self._is_ending = False
        self._wake = asyncio.Event()
        self._stop = threading.Event()
        self._task = asyncio.create_task(self._run(), name=f"partition-{log.partition}")

    def oldest_record_ms(self) -> int:
        """Return Kafka's timestamp of the oldest record not stored yet, as far as it is known."""
        waiting = self.planner.oldest
        return self.last_record_ms if waiting is None else waiting.timestamp_ms

    def on_failure(self, tell: Callable[[BaseException], None]) -> None:
        """Tell when the partition ends by an error that no retry can mend."""

        def look(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (exc := task.exception()) is not None:
                tell(exc)

        self._task.add_done_callback(look)

    async def offer(self, record: Record) -> Verdict:
        """Take the next record of the log; only a record that is KEPT is to be acknowledged."""
        if self._is_draining:
            return Verdict.DISCARDED  # the next owner reads it again
        was_empty = self.planner.is_empty
        verdict = self.planner.offer(record, _now_ms())
        if verdict is Verdict.GAP:
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
        elif verdict is Verdict.KEPT:
            if not self.is_paused and self.planner.is_full:
                self.is_paused = True
                self._reader.pause(self.log)
            if was_empty or self.planner.is_ready:
                self._wake.set()
        return verdict

    async def drain(self, deadline_s: float) -> None:
        """Write what is buffered, then end; after the deadline leave it to the next owner."""
        self._is_draining = True
        self._wake.set()
        _done, pending = await asyncio.wait({self._task}, timeout=deadline_s)
        if pending:
            await self.abandon(1.0)

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
        while not self._is_ending:
            batch = self.planner.seal(_now_ms(), drain=self._is_draining)
            if batch is None:
                if self._is_draining:
                    return
                await self._sleep(self.planner.wait_ms(_now_ms()))
                continue
            rest_ms = _ROOM_LOOK_MS if self._writer.must_wait() else 0
            rest_ms = max(rest_ms, self.breaker.remaining_ms(_now_ms()))
            if rest_ms and not self._is_draining:
                await self._sleep(rest_ms)
                continue
            self.is_writing = True
            try:
                await self._write(batch)
            except Abandoned:
                return
            finally:
                self.is_writing = False
            if self.is_paused and self.planner.has_room:
                self.is_paused = False
                self.planner.resume(_now_ms())
                self._reader.resume(self.log)

    async def _write(self, batch: SealedBatch[Record]) -> None:
        """Write one sealed batch, or learn that its range must be another one."""
        adopted = self._open is not None
        if self._open is None:
            proposal = self._writer.propose(self.log, batch.start, batch.end)
            claim = await self._in_thread(lambda: self._claim(proposal, len(batch.records)))
            if claim.is_done:
                await self._skip_to(claim.done_end)
                return
            self._open = claim.intent
            adopted = claim.intent != proposal
            if claim.intent.end != batch.end:
                self.planner.bind(claim.intent.end)
                return
        intent = self._open
        self._observer.batch_started(self.log)
        written = await self._in_thread(lambda: self._drive(batch, intent, adopted))
        self._open = None
        if written is None:
            await self._skip_to(intent.end)
            return
        outcome, done = written
        self.planner.remove(intent.end)
        self.position = intent.end
        self.last_record_ms = done.last_record_ms
        self._observer.batch_done(self.log, batch, outcome, done)
        if self.breaker.record(done.events, done.dead_letters, _now_ms()):
            self._observer.breaker_opened(self.log, self.breaker.remaining_ms(_now_ms()) / 1000)
        await self._reader.stored(self.log, intent.end)

    async def _skip_to(self, end: int) -> None:
        """Go on after batches that another worker has finished."""
        self._observer.overtaken(self.log)
        self._open = None
        self.planner.skip(end)
        self.position = end
        await self._reader.stored(self.log, end)

    def _claim(self, proposal: Intent, records: int) -> Claim:
        return self._writer.driver.call(
            "claim",
            lambda: self._writer.ledger.claim(proposal, records),
            self._stop,
            FlushTimes(),
        )

    def _drive(
        self, batch: SealedBatch[Record], intent: Intent, adopted: bool
    ) -> tuple[Outcome, DoneBatch] | None:
        return self._writer.driver.drive(
            lambda times: self._writer.flush.write(batch, intent, adopted, times), self._stop
        )

    def _in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._writer.executor, work)

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
