"""Batches of several partitions are written in turn: a batch is sealed when its turn comes.

A turn ends when its batch is stored, or when there is nothing to write: no acknowledgement, no end
of a partition and no hold keeps it. After a batch the partition rests, unless detection waits.
"""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import replace
from typing import Any, Literal

import polars as pl
import pytest

from tests.stream_jobs.jobs.ingest.test_partition import Notes, Room, room, until
from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.planner import Limits, SealedBatch
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.jobs.ingest.turns import Turns


class CountedTurns(Turns):
    asked = 0

    async def acquire(self) -> Literal[True]:
        self.asked += 1
        return await super().acquire()


class HangingCoordinator(Notes):
    """A reader whose commits wait until the coordinator answers."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = False
        self.answers = asyncio.Event()
        self.frames: list[weakref.ref[pl.DataFrame]] = []

    def batch_done(
        self, _log: LogPartition, _batch: SealedBatch[Record], outcome: Outcome, _done: Any
    ) -> None:
        self.frames.append(weakref.ref(outcome.dead_letters))

    async def stored(self, log: LogPartition, end: int) -> None:
        self.is_asked = True
        await self.answers.wait()
        await super().stored(log, end)


async def share(turns: Turns, *rooms: Room) -> None:
    for one in rooms:
        await one.partition.abandon(1)
        one.writer = replace(one.writer, turns=turns)
        await one.begin()


async def test_a_batch_that_waits_for_its_turn_grows_meanwhile() -> None:
    async with room() as here:
        turns = CountedTurns(1)
        await share(turns, here)
        async with turns:
            await here.offer(0)
            await until(lambda: turns.asked == 2)
            await here.offer(1)
            assert here.flush.batches == []
        await until(lambda: here.notes.acked == 2)
        assert here.flush.batches == [(0, 2, False)]


async def test_a_commit_that_hangs_keeps_no_other_partition_from_being_written() -> None:
    async with room() as slow, room() as other:
        turns, coordinator = CountedTurns(1), HangingCoordinator()
        slow.notes = coordinator
        await share(turns, slow, other)
        await slow.offer(0, 1, 2)
        await until(lambda: coordinator.is_asked)
        assert not turns.locked()
        assert not slow.partition.is_idle, "it is not acknowledged yet"
        assert [frame() is None for frame in coordinator.frames] == [True], "no row waits with it"
        await other.offer(0, 1, 2)
        await until(lambda: other.notes.acked == 3)
        assert coordinator.acked == 0
        coordinator.answers.set()
        await until(lambda: coordinator.acked == 3)
        await slow.offer(3, 4, 5)
        await until(lambda: coordinator.acked == 6)
        assert slow.flush.batches == [(0, 3, False), (3, 6, False)]


async def test_a_partition_that_is_taken_away_while_it_waits_gives_its_turn_back() -> None:
    async with room() as gone, room() as drained, room() as other:
        turns = CountedTurns(1)
        await share(turns, gone, drained, other)
        await turns.acquire()
        await gone.offer(0, 1, 2)
        await until(lambda: turns.asked == 2)
        await drained.offer(0, 1, 2)
        await until(lambda: turns.asked == 3)
        await other.offer(0, 1, 2)
        await until(lambda: turns.asked == 4)
        turns.release()  # `gone` has the turn now, and has not run since
        await gone.partition.abandon(0)
        await drained.partition.drain(60)
        await until(lambda: other.notes.acked == 3)
        assert (gone.flush.batches, gone.notes.acked) == ([], 0)
        assert drained.flush.batches == [(0, 3, False)]
        assert not turns.locked()


async def test_a_hold_that_begins_while_a_batch_waits_gives_its_turn_to_the_next() -> None:
    async with room() as held, room() as other:
        turns = CountedTurns(1)
        await share(turns, held, other)
        async with turns:
            await held.offer(0, 1, 2)
            await until(lambda: turns.asked == 2)
            await other.offer(0, 1, 2)
            await until(lambda: turns.asked == 3)
            held.disk_is_low.set()
        await until(lambda: other.notes.acked == 3)
        assert (held.ledger.intents, held.flush.batches) == ({}, [])
        held.disk_is_low.clear()
        await until(lambda: held.notes.acked == 3)
        assert not turns.locked()


async def test_a_heavy_batch_is_written_alone_and_others_two_at_a_time() -> None:
    limits, large = Limits(2, 10**6, 99_999, 10**9), b"0\n0\n0\n0"
    async with room(limits=limits) as one, room(limits=limits) as two, room(limits=limits) as three:
        turns = CountedTurns(2)
        rooms = (one, two, three)
        await share(turns, *rooms)
        for here in rooms:
            here.flush.gate.clear()
        await one.offer(0, 1)
        await two.offer(0, 1)
        await until(lambda: one.partition.is_writing and two.partition.is_writing)
        await three.partition.offer(Record(0, 0, 1, large))
        await until(lambda: turns.asked == 3)
        one.flush.gate.set()
        await until(lambda: turns.asked == 4)  # it has one turn, and asks for the other
        await one.offer(2, 3)
        await until(lambda: turns.asked == 5)
        assert not three.partition.is_writing
        two.flush.gate.set()
        await until(lambda: three.partition.is_writing)
        assert not one.partition.is_writing, "nothing is written beside a heavy batch"
        three.flush.gate.set()
        await until(lambda: three.notes.acked == 1 and one.notes.acked == 4)
        assert not turns.locked()


async def test_two_heavy_batches_do_not_wait_for_each_other_for_ever() -> None:
    limits, large = Limits(2, 10**6, 99_999, 10**9), b"0\n0\n0\n0"
    async with room(limits=limits) as one, room(limits=limits) as two:
        turns = CountedTurns(2)
        await share(turns, one, two)
        async with turns, turns:
            for here in (one, two):
                await here.partition.offer(Record(0, 0, 1, large))
            for _look in range(20):  # both wait, one of them for the other
                await asyncio.sleep(0)
        await until(lambda: one.notes.acked == two.notes.acked == 1)
        assert not turns.locked()


async def test_a_batch_that_grows_heavy_while_it_waits_asks_again_for_all_turns() -> None:
    limits = Limits(4, 10**6, 99_999, 10**9)
    async with room(limits=limits) as grown, room(limits=limits) as other:
        turns = CountedTurns(2)
        await share(turns, grown, other)
        other.flush.gate.clear()
        await other.offer(0, 1, 2, 3)
        await until(lambda: other.partition.is_writing)
        await turns.acquire()
        await grown.offer(0)
        grown.partition.seal_at(1)
        await until(lambda: turns.asked == 3)
        await grown.partition.offer(Record(0, 1, 1, b"0\n" * 9))
        turns.release()
        await until(lambda: turns.asked == 5)  # one that was too few, and the first of all
        assert not grown.partition.is_writing
        other.flush.gate.set()
        await until(lambda: grown.notes.acked == 2)
        assert not turns.locked()


async def test_what_is_wanted_is_written_at_once_and_the_rest_at_its_age() -> None:
    async with room(limits=Limits(100, 10**6, 99_999, 10**7)) as here:
        await here.offer(0, 1)
        here.partition.seal_at(2)
        await until(lambda: here.notes.acked == 2)
        await here.offer(2)
        rest_ms = here.partition.planner.wait_ms(0)
        assert rest_ms is not None and rest_ms > 99_000
        assert here.flush.batches == [(0, 2, False)]


async def test_the_next_batch_waits_eight_times_as_long_as_the_last_one_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_ms = [1_000]
    monkeypatch.setattr("tokentide_jobs.jobs.ingest.partition._now_ms", lambda: now_ms[0])
    async with room(limits=Limits(2, 10**6, 1_000, 10**7)) as here:
        here.flush.gate.clear()
        await here.offer(0, 1)
        await until(lambda: here.partition.is_writing)
        now_ms[0] = 1_300
        here.flush.gate.set()
        await until(lambda: here.notes.acked == 2)
        await here.offer(2)
        assert here.partition.planner.wait_ms(1_300) == 1_000 + 8 * 300 - 1_300
