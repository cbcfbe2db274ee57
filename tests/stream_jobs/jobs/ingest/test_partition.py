"""One partition in a worker: what is written when, what is acknowledged, how it ends.

Ledger and flush are simple ones in memory; planner, driver and partition are the real ones.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

import polars as pl
import pytest

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.batch.breaker import Breaker
from tokentide_jobs.core.batch.byte_budget import ByteBudget
from tokentide_jobs.core.batch.ledger import Claim, Intent, LogPartition
from tokentide_jobs.core.batch.life import Assignment, Effect, Effects
from tokentide_jobs.core.batch.planner import Limits, OfferResult, SealedBatch
from tokentide_jobs.core.outcome.dead_letter_rows import dead_letter_frame
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.record.dead_letter import UNREADABLE, DeadLetter
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.errors import InvariantViolation, LogReplaced
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch, LedgerStore
from tokentide_jobs.jobs.ingest.driver import Driver
from tokentide_jobs.jobs.ingest.flush import Flush, Written
from tokentide_jobs.jobs.ingest.partition import AssignedPartition, BatchWriter
from tokentide_jobs.jobs.ingest.turns import Turns

LOG = LogPartition("log-a", "tokentide.events.v1", 0)
LIMITS = Limits(rows=3, bytes=10_000, age_ms=50, buffer_bytes=2_000)


def intent(start: int, end: int, worker: str = "me") -> Intent:
    return Intent(LOG, start, end, "v1", 0, 1, 2, worker)


class MemoryLedger:
    """First writer wins, in a dict."""

    def __init__(self) -> None:
        self.intents: dict[int, Intent] = {}
        self.done_end = 0

    def position(self, _log: LogPartition) -> tuple[int | None, Intent | None]:
        return self.done_end or None, self.intents.get(self.done_end)

    def claim(self, proposal: Intent, _records: int) -> Claim:
        return Claim(self.intents.setdefault(proposal.start, proposal), self.done_end)


class MemoryFlush:
    """Writes batches into a list; may be held up, or fail."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int, bool]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.bad = 0
        self.is_overtaken = False

    def write(
        self, batch: SealedBatch[Record], of: Intent, adopted: bool
    ) -> Effects[Written | None]:
        yield Effect("insert", self._insert)
        if self.is_overtaken:
            return None
        self.batches.append((batch.start, batch.end, adopted))
        bad = [
            DeadLetter(0, batch.records[n % len(batch.records)].offset, n, UNREADABLE, "", "", b"")
            for n in range(self.bad)
        ]
        outcome = Outcome(of, batch.records, {}, dead_letter_frame(bad, of, []))
        return Written(outcome, done(0 if self.bad else len(batch.records), self.bad))

    def _insert(self) -> None:
        self.gate.wait(60)
        if self.error is not None:
            raise self.error


def done(events: int, bad: int) -> DoneBatch:
    values: dict[str, Any] = dict.fromkeys(DoneBatch.__dataclass_fields__, 0)
    return DoneBatch(**{**values, "events": events, "dead_letters": bad, "last_record_ms": 5})


class Notes:
    """Stands for the reader, the observer and the driver's listener."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.acked = 0

    async def read_again(self, _log: LogPartition, offset: int) -> None:
        self.calls.append(("read_again", offset))

    async def stored(self, _log: LogPartition, end: int) -> None:
        self.acked = end

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: self.calls.append((name,))


class Room:
    """A partition with everything around it."""

    partition: AssignedPartition

    def __init__(self, limits: Limits) -> None:
        self.ledger, self.flush, self.notes = MemoryLedger(), MemoryFlush(), Notes()
        self.failures: list[BaseException] = []
        self.executor = ThreadPoolExecutor(2)
        self.disk_is_low = threading.Event()
        self.topic_is_new = threading.Event()
        self.writer = BatchWriter(
            driver=Driver(Backoff(first_s=0.01, longest_s=0.01), self.notes),
            ledger=cast("LedgerStore", self.ledger),
            flush=cast("Flush", self.flush),
            confirm=self.confirm,
            propose=lambda _log, start, end: intent(start, end),
            executor=self.executor,
            limits=limits,
            budget=ByteBudget(limits.buffer_bytes),
            turns=Turns(2),
            new_breaker=lambda: Breaker(0.5, 3, 60_000),
            must_wait=self.disk_is_low.is_set,
        )

    def confirm(self, log: LogPartition) -> None:
        if self.topic_is_new.is_set():
            raise LogReplaced(f"{log.topic} was made again")

    async def begin(self) -> None:
        given = Assignment(LOG, 0, 1_000, None)
        self.partition, _position = await AssignedPartition.begin(
            given, self.writer, self.notes, self.notes, 5
        )
        self.partition.on_failure(self.failures.append)

    async def offer(self, *offsets: int, value: bytes = b"{}") -> None:
        for offset in offsets:
            await self.partition.offer(Record(0, offset, 1, value))


@asynccontextmanager
async def room(opened: Intent | None = None, limits: Limits = LIMITS) -> AsyncIterator[Room]:
    made = Room(limits)
    if opened is not None:
        made.ledger.done_end = opened.start
        made.ledger.intents[opened.start] = opened
    await made.begin()
    try:
        yield made
    finally:
        made.flush.gate.set()
        await made.partition.abandon(1)
        made.executor.shutdown()


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110 -- what is awaited sets no event
            await asyncio.sleep(0.005)


async def test_a_full_batch_is_written_then_acknowledged() -> None:
    async with room() as here:
        await here.offer(0, 1, 2)
        await until(lambda: here.notes.acked == 3)
        assert here.flush.batches == [(0, 3, False)]
        assert here.partition.position == 3


async def test_of_a_topic_that_was_made_anew_nothing_is_claimed_or_written() -> None:
    async with room() as here:
        await here.offer(0, 1)
        here.topic_is_new.set()  # the third record may be of the old topic, or of the new one
        await here.offer(2)
        await until(lambda: bool(here.failures))
        assert isinstance(here.failures[0], LogReplaced)
        assert (here.ledger.intents, here.flush.batches, here.notes.acked) == ({}, [], 0)


async def test_nor_is_an_open_intent_of_the_old_log_filled_with_records_of_the_new() -> None:
    async with room(intent(4, 6, "the dead")) as here:
        here.topic_is_new.set()
        await here.offer(4, 5)
        await until(lambda: bool(here.failures))
        assert (here.flush.batches, here.notes.acked) == ([], 0)


async def test_age_alone_seals_a_small_batch() -> None:
    async with room() as here:
        await here.offer(0)
        await until(lambda: here.notes.acked == 1)


async def test_records_collect_while_a_batch_is_being_written() -> None:
    async with room() as here:
        here.flush.gate.clear()
        await here.offer(0, 1, 2)
        await until(lambda: here.partition.is_writing)
        await here.offer(3, 4, 5)
        assert here.notes.acked == 0
        here.flush.gate.set()
        await until(lambda: here.notes.acked == 6)
        assert here.flush.batches == [(0, 3, False), (3, 6, False)]


async def test_the_winner_of_a_claim_cuts_our_batch() -> None:
    async with room() as here:
        here.ledger.intents[0] = intent(0, 2, "rival")
        await here.offer(0, 1, 2)
        await until(lambda: here.notes.acked == 3)
        assert here.flush.batches == [(0, 2, True), (2, 3, False)]


async def test_the_winner_of_a_claim_makes_us_wait_for_more() -> None:
    async with room() as here:
        here.ledger.intents[0] = intent(0, 5, "rival")
        await here.offer(0, 1, 2)
        await until(lambda: here.partition.planner.wait_ms(0) is None)
        assert here.flush.batches == []
        await here.offer(3, 4)
        await until(lambda: here.notes.acked == 5)
        assert here.flush.batches == [(0, 5, True)]


async def test_an_open_intent_at_assignment_is_finished_without_a_claim() -> None:
    opened = intent(4, 6, "the dead")
    async with room(opened) as here:
        here.ledger.intents.clear()
        await here.offer(4, 5)
        await until(lambda: here.notes.acked == 6)
        assert here.flush.batches == [(4, 6, True)]
        assert here.ledger.intents == {}


async def test_a_worker_that_was_overtaken_goes_on_after_what_is_done() -> None:
    async with room() as here:
        here.ledger.intents[0] = intent(0, 2, "rival")
        here.ledger.done_end = 2
        await here.offer(0, 1, 2)
        await until(lambda: here.notes.acked == 3)
        assert here.flush.batches == [(2, 3, False)]
        assert ("overtaken",) in here.notes.calls


async def test_a_batch_that_another_worker_finished_meanwhile_is_skipped() -> None:
    async with room() as here:
        here.flush.is_overtaken = True
        await here.offer(0, 1, 2)
        await until(lambda: here.notes.acked == 3)
        assert here.flush.batches == []


async def test_a_gap_makes_the_reader_read_again_and_is_not_acknowledged() -> None:
    async with room() as here:
        await here.offer(0)
        verdict = await here.partition.offer(Record(0, 5, 1, b"{}"))
        assert verdict is OfferResult.GAP
        assert ("read_again", 1) in here.notes.calls


async def test_a_full_buffer_pauses_reading_until_half_is_free() -> None:
    async with room(
        limits=Limits(rows=1_000, bytes=1_000, age_ms=9_999, buffer_bytes=2_000)
    ) as here:
        here.flush.gate.clear()
        await here.offer(0, 1, 2, value=b"x" * 900)
        assert ("pause",) in here.notes.calls
        assert here.partition.is_paused
        here.flush.gate.set()
        await until(lambda: ("resume",) in here.notes.calls)


def is_acked(here: Room, offset: int) -> bool:
    return here.notes.acked == offset


async def test_a_partition_whose_store_is_stuck_keeps_no_other_from_being_written() -> None:
    limits = Limits(rows=1_000, bytes=1_000, age_ms=9_999, buffer_bytes=2_000)
    async with room(limits=limits) as stuck, room(limits=limits) as here:
        budget = stuck.writer.budget
        await here.partition.abandon(1)
        here.writer = replace(here.writer, budget=budget)
        await here.begin()
        stuck.flush.gate.clear()
        await stuck.offer(0, 1, value=b"x" * 900)
        assert stuck.partition.is_paused
        for offset in range(3):
            await here.offer(offset, value=b"x" * 900)
            await until(partial(is_acked, here, offset + 1))
        await stuck.partition.abandon(0)
        assert budget.held_bytes == 0, "the partition is gone, and so is what it held"


async def test_the_breaker_rests_a_partition_that_sends_rubbish() -> None:
    async with room() as here:
        here.flush.bad = 100
        await here.offer(0, 1, 2)
        await until(lambda: here.notes.acked == 3)
        await here.offer(3, 4, 5)
        await asyncio.sleep(0.1)
        assert here.flush.batches == [(0, 3, False)]
        assert ("breaker_opened",) in here.notes.calls
        await here.partition.drain(60)
        assert here.notes.acked == 6


async def test_draining_writes_the_rest_and_takes_no_more() -> None:
    async with room(limits=Limits(100, 10**6, 99_999, 10**7)) as here:
        await here.offer(0, 1)
        await here.partition.drain(60)
        assert here.notes.acked == 2
        assert await here.partition.offer(Record(0, 2, 1, b"{}")) is OfferResult.DISCARDED


async def test_draining_ends_at_its_deadline_even_when_the_store_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tokentide_jobs.jobs.ingest.partition._LAST_STEP_S", 0.05)
    async with room() as here:
        here.flush.gate.clear()
        await here.offer(0, 1, 2)
        await until(lambda: here.partition.is_writing)
        async with asyncio.timeout(30):
            await here.partition.drain(0.05)
        assert here.notes.acked == 0


async def test_an_abandoned_partition_finishes_its_batch_and_begins_no_other() -> None:
    async with room() as here:
        here.flush.gate.clear()
        await here.offer(0, 1, 2, 3, 4, 5)
        await until(lambda: here.partition.is_writing)
        ending = asyncio.create_task(here.partition.abandon(60))
        await asyncio.sleep(0)
        here.flush.gate.set()
        await ending
        assert here.flush.batches == [(0, 3, False)]


async def test_an_error_that_no_retry_mends_is_reported() -> None:
    async with room() as here:
        here.flush.error = InvariantViolation("torn")
        await here.offer(0, 1, 2)
        await until(lambda: bool(here.failures))
        assert isinstance(here.failures[0], InvariantViolation)


def test_dead_letters_of_nothing_are_an_empty_frame_with_every_column() -> None:
    frame = dead_letter_frame([], intent(0, 1), [])
    assert frame.height == 0
    assert isinstance(frame, pl.DataFrame)


async def test_nothing_is_claimed_or_written_while_the_disk_is_low_and_all_of_it_afterwards() -> (
    None
):
    async with room() as here:
        here.disk_is_low.set()
        await here.offer(0, 1, 2, 3)
        await until(lambda: ("pause",) in here.notes.calls or here.partition.planner.is_ready)
        await asyncio.sleep(0.1)
        assert (here.flush.batches, here.ledger.intents, here.notes.acked) == ([], {}, 0)
        here.disk_is_low.clear()
        await until(lambda: here.notes.acked == 4)


async def test_a_worker_that_ends_writes_what_it_has_although_the_disk_is_low() -> None:
    async with room() as here:
        here.disk_is_low.set()
        await here.offer(0)
        await here.partition.drain(60)
        assert here.flush.batches == [(0, 1, False)]
