"""A commit that Kafka refuses costs nothing: the ledger knows the position."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, RequestTimedOutError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from tokentide_jobs.jobs.runtime import faust_app
from tokentide_jobs.jobs.runtime.faust_app import JobApp, JobConsumer, build_app
from tokentide_jobs.settings import Settings

OURS, LOST = TP("tokentide.events.v1", 0), TP("tokentide.events.v1", 1)


class Coordinator:
    """aiokafka's consumer, as far as a commit goes: owns one partition, and may be refused."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.committed: list[dict[TopicPartition, OffsetAndMetadata]] = []

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(OURS.topic, OURS.partition)}

    async def commit(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        self.committed.append(offsets)
        if self.error is not None:
            raise self.error


class Committing:
    """The worker's real Faust consumer over such a coordinator."""

    def __init__(self, error: Exception | None = None) -> None:
        self.failures = 0
        self.coordinator = Coordinator(error)
        loop = asyncio.get_running_loop()
        self.app: JobApp = build_app(Settings.from_env({}), self._nowhere, self._count, loop)
        consumer = self.app._new_consumer()
        assert isinstance(consumer, JobConsumer)
        self.consumer = consumer
        self._thread: Any = consumer._thread
        self._thread._consumer = self.coordinator

    def __enter__(self) -> Committing:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._thread.thread_loop.close()  # the thread was never started

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        return bool(await self._thread._commit(offsets))

    def _count(self) -> None:
        self.failures += 1

    async def _nowhere(self, _assigned: set[TP]) -> Mapping[TP, int]:
        return {}


async def test_only_partitions_that_are_still_owned_are_committed() -> None:
    with Committing() as here:
        assert await here.commit({OURS: 7, LOST: 9}) is True
        ours = TopicPartition(OURS.topic, OURS.partition)
        assert here.coordinator.committed == [{ours: OffsetAndMetadata(7, "")}]


async def test_when_every_partition_is_lost_nothing_is_sent() -> None:
    with Committing(CommitFailedError()) as here:
        assert await here.commit({LOST: 9}) is True
        assert (here.coordinator.committed, here.failures) == ([], 0)


@pytest.mark.parametrize(
    "error",
    [CommitFailedError(), RequestTimedOutError(), KafkaError("no coordinator")],
    ids=lambda error: type(error).__name__,
)
async def test_a_refused_commit_is_counted_and_logged_and_ends_nothing(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with Committing(error) as here:
        assert await here.commit({OURS: 7}) is False
        assert here.failures == 1
        assert "commit_failed" in caplog.text
        assert not here.app.should_stop
        assert not here.app.crashed
        here.coordinator.error = None
        assert await here.commit({OURS: 8}) is True


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "behind the periodic one"])
async def test_a_consumer_thread_that_does_not_answer_holds_no_batch_up(
    is_first: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(faust_app, "_COMMIT_S", 0.01)
    with Committing() as here:
        here.consumer._acked[OURS] = [6]
        here.consumer.stored(OURS, 7)
        periodic = None if is_first else asyncio.ensure_future(here.consumer.commit())
        await asyncio.sleep(0)
        hanging = []
        async with asyncio.timeout(30):
            for _ in range(3):
                await here.consumer.commit_soon()
                hanging.append(len(asyncio.all_tasks()))
        assert here.failures == 3
        assert "commit_failed" in caplog.text
        assert len(set(hanging)) == 1  # no other commit is begun beside one that hangs
        assert periodic is None or not periodic.done()
