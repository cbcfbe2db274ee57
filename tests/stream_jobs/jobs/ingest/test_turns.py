"""Batches of several partitions are written in turn: a batch is sealed when its turn comes.

A turn ends when its batch is stored, or when there is nothing to write: no acknowledgement, no end
of a partition and no hold keeps it.
"""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import replace
from typing import Any, Literal

import polars as pl

from tests.stream_jobs.jobs.ingest.test_partition import Notes, Room, room, until
from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.record.record import Record


class Turns(asyncio.Semaphore):
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
        turns = Turns(1)
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
        turns, coordinator = Turns(1), HangingCoordinator()
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
        turns = Turns(1)
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
        turns = Turns(1)
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
