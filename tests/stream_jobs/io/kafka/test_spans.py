"""Reading of ranges: what a transaction took back is no silence, and silence has an end."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.kafka import spans

PART = TopicPartition("t", 0)


class TakenBack:
    """A consumer whose fetches hold records of an aborted transaction only.

    aiokafka gives none of them and moves the position over all of them.
    """

    def __init__(self, offsets_per_fetch: int, fetched: Callable[[], None]) -> None:
        self._fetcher = SimpleNamespace(_records={})
        self._offsets_per_fetch = offsets_per_fetch
        self._fetched = fetched
        self._position = 0

    async def getmany(self, **_options: Any) -> dict[TopicPartition, list[Any]]:
        self._fetched()
        self._position += self._offsets_per_fetch
        return {}

    async def position(self, _part: TopicPartition) -> int:
        return self._position

    def pause(self, _part: TopicPartition) -> None: ...


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def fetch_took_15_s(self) -> None:
        self.now_s += 15.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(spans, "time", made)
    return made


async def read(consumer: TakenBack, end: int) -> list[Any]:
    taken: list[Any] = []
    await spans._read(
        consumer, {PART: [(0, end)]}, lambda _, record: taken.append(record), lambda *_: None
    )
    return taken


async def test_a_transaction_that_was_taken_back_may_be_longer_than_a_silence(
    clock: Clock,
) -> None:
    assert await read(TakenBack(10, clock.fetch_took_15_s), 50) == []
    assert clock.now_s == 5 * 15.0


async def test_a_broker_that_sends_nothing_is_given_up(clock: Clock) -> None:
    with pytest.raises(ServiceUnreachable, match="sent nothing for 20 s although partitions 0"):
        await read(TakenBack(0, clock.fetch_took_15_s), 50)
    assert clock.now_s == 2 * 15.0
