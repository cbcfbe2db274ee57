"""A partition that pauses is not read, and goes on soon when it may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from tokentide_jobs.jobs.runtime.faust_app import JobConsumer, build_app
from tokentide_jobs.settings import Settings

PAUSED, READ = TP("tokentide.events.v1", 0), TP("tokentide.events.v1", 1)


class Fetcher:
    """aiokafka's, as far as handing on goes; meanwhile the last partition pauses."""

    def __init__(self, active: set[TP]) -> None:
        self.active = active
        self.asked: list[set[TP]] = []
        self._closed = False
        self._records: dict[TP, Any] = {}
        self._subscriptions = SimpleNamespace(fetch_context=nullcontext)

    async def fetched_records(
        self,
        partitions: set[TP],
        timeout: float,  # noqa: ASYNC109 -- that of aiokafka
        max_records: int,
    ) -> dict[TP, list[Any]]:
        del timeout, max_records
        self.active.clear()
        self.asked.append(set(partitions))
        return {READ: [SimpleNamespace(value=b"{}")]} if len(self.asked) == 1 else {}


@contextmanager
def consuming() -> Iterator[JobConsumer]:
    """Yield the worker's real Faust consumer; its thread is never started."""

    async def nowhere(_assigned: set[TP]) -> Mapping[TP, int]:
        return {}

    loop = asyncio.get_running_loop()
    app = build_app(Settings.from_env({}), nowhere, lambda: None, loop)
    consumer = app._new_consumer()
    assert isinstance(consumer, JobConsumer)
    with closing(consumer._thread.thread_loop):
        yield consumer


async def test_when_the_last_partition_pauses_meanwhile_no_other_is_handed_on() -> None:
    with consuming() as consumer:
        consumer.resume_flow()
        fetcher = Fetcher(active := {READ})
        under: Any = SimpleNamespace(_fetcher=fetcher, _closed=False)
        found = await consumer._thread._fetch_records(under, active, timeout=1.0)
        assert (list(found), active) == ([READ], set())
        # Of an empty set aiokafka hands on every partition's.
        assert fetcher.asked == [{READ}, {READ}]
        assert await consumer._thread._fetch_records(under, set(), timeout=1.0) == {}
        assert len(fetcher.asked) == 2


async def test_a_wait_for_records_is_short_while_a_partition_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    slept: list[float] = []

    async def getmany(active_partitions: set[TP], timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109 -- that of Faust
        waits.append(timeout)
        return {}

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with consuming() as consumer:
        consumer.resume_flow()
        consumer._active_partitions = {PAUSED, READ}
        monkeypatch.setattr(consumer, "_getmany", getmany)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await consumer._wait_next_records(1.0)
        consumer.on_buffer_full(PAUSED)
        await consumer._wait_next_records(1.0)
        consumer.on_buffer_full(READ)
        assert await consumer._wait_next_records(1.0) == ({}, set())
        consumer.on_buffer_drop(PAUSED)
        consumer.on_buffer_drop(READ)
        await consumer._wait_next_records(1.0)
    assert waits == [1.0, 0.05, 1.0]
    assert slept == [0.05]


async def test_a_buffer_of_faust_that_is_empty_again_does_not_end_a_pause_of_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused = {PAUSED}
    with consuming() as consumer:
        consumer.resume_flow()
        consumer._active_partitions = {PAUSED, READ}
        monkeypatch.setattr(consumer.app, "is_paused", paused.__contains__)
        for _once in range(2):
            for tp in (PAUSED, READ):
                consumer.on_buffer_full(tp)  # the agent's buffer is full, and empty again
                consumer.on_buffer_drop(tp)
            assert consumer._get_active_partitions() == {READ}
        paused.clear()
        consumer.on_buffer_drop(PAUSED)  # the job goes on
        assert consumer._get_active_partitions() == {PAUSED, READ}
