"""Batches of several partitions are written in turn: a batch is sealed when its turn comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal

from tests.stream_jobs.jobs.ingest.test_partition import room, until


class Turns(asyncio.Semaphore):
    asked = 0

    async def acquire(self) -> Literal[True]:
        self.asked += 1
        return await super().acquire()


async def test_a_batch_that_waits_for_its_turn_grows_meanwhile() -> None:
    async with room() as here:
        turns = Turns(1)
        await here.partition.abandon(1)
        here.writer = replace(here.writer, turns=turns)
        await here.begin()
        async with turns:
            await here.offer(0)
            await until(lambda: turns.asked == 2)
            await here.offer(1)
            assert here.flush.batches == []
        await until(lambda: here.notes.acked == 2)
        assert here.flush.batches == [(0, 2, False)]
