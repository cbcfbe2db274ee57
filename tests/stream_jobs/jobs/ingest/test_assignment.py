"""Partitions that are taken away while the ledger is still asked where to begin with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from faust.types import TP

from tests.stream_jobs.jobs.ingest.test_partition import LIMITS, LOG, MemoryLedger, Room, until
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.kafka.offsets import OffsetRange
from tokentide_jobs.jobs.ingest.agent import IngestJob
from tokentide_jobs.jobs.runtime.faust_app import build_app
from tokentide_jobs.settings import Settings

OURS = TP(LOG.topic, LOG.partition)


class SlowLedger(MemoryLedger):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.is_away = False

    def position(self, log: LogPartition) -> tuple[int | None, Intent | None]:
        self.asked.release()
        self.may_answer.wait(60)
        if self.is_away:
            raise RetriableSinkError("ClickHouse does not answer")
        return super().position(log)


class Assigning:
    """A job and the questions it asks."""

    def __init__(self) -> None:
        room, self.ledger = Room(LIMITS), SlowLedger()
        notes: Any = room.notes
        self.executor = room.executor
        writer = replace(room.writer, ledger=cast("LedgerStore", self.ledger))
        self.job = IngestJob(Settings.from_env({}), {LOG.topic: LOG.log_id}, writer, notes, notes)

    async def ask(self) -> asyncio.Task[int | None]:
        """Begin to ask where to begin; returns when the ledger has the question."""
        task = asyncio.create_task(self.job._begin(OURS, OffsetRange(0, 1_000), None))
        await until(lambda: self.ledger.asked.acquire(blocking=False))
        return task


def left_partitions() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if "partition-" in task.get_name()]


@pytest.fixture
def assigning() -> Iterator[Assigning]:
    made = Assigning()
    yield made
    made.ledger.may_answer.set()
    made.executor.shutdown(cancel_futures=True)


async def test_a_partition_that_is_revoked_while_the_ledger_is_asked_never_begins(
    assigning: Assigning,
) -> None:
    asked = await assigning.ask()
    await assigning.job._on_revoked(None, {OURS})
    assigning.ledger.may_answer.set()
    assert await asked is None
    assert (assigning.job.partitions, left_partitions()) == ({}, [])


async def test_nor_does_one_that_is_given_while_the_worker_ends(assigning: Assigning) -> None:
    asked = await assigning.ask()
    await assigning.job._on_shutdown()
    assigning.ledger.may_answer.set()
    assert await asked is None
    assert (assigning.job.partitions, left_partitions()) == ({}, [])


async def test_a_partition_that_is_asked_for_twice_begins_once(assigning: Assigning) -> None:
    first, second = await assigning.ask(), await assigning.ask()
    assigning.ledger.may_answer.set()
    assert (await first, await second) == (0, 0)
    assert left_partitions() == ["partition-0"]
    assigning.ledger.may_answer.clear()
    third = await assigning.ask()
    await assigning.job.partitions[OURS].offer(Record(0, 0, 1, b"{}"))
    assigning.ledger.may_answer.set()
    assert await third == 1, "the next record that the first one waits for"
    await assigning.job._on_revoked(None, {OURS})
    assert left_partitions() == []


async def test_a_question_that_is_given_up_is_asked_no_more(assigning: Assigning) -> None:
    assigning.ledger.is_away = True
    assigning.ledger.may_answer.set()
    asked = await assigning.ask()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    # The thread is free again, and the executor ends.
    async with asyncio.timeout(30):
        await asyncio.to_thread(assigning.executor.shutdown)


async def test_the_app_is_notified_of_a_pause_until_the_partition_is_taken_away(
    assigning: Assigning,
) -> None:
    async def nothing() -> None:
        return None

    job, loop = assigning.job, asyncio.get_running_loop()
    app = build_app(Settings.from_env({}), job.positions, lambda: None, loop)
    assert not app.is_paused(OURS)
    job.attach(app, nothing)
    assigning.ledger.may_answer.set()
    await job._begin(OURS, OffsetRange(0, 1_000), None)
    assert not app.is_paused(OURS)
    job.partitions[OURS].is_paused = True
    assert app.is_paused(OURS)
    await job._on_revoked(None, {OURS})
    assert not app.is_paused(OURS), "its next owner reads it"
