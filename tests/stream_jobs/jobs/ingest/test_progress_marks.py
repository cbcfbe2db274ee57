"""When a worker marks its progress: after each batch, while idle, and never ahead of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.jobs.ingest import progress_marks
from tokentide_jobs.jobs.ingest.partition import AssignedPartition
from tokentide_jobs.jobs.ingest.progress_marks import MarkPublisher

TOPIC = "tokentide.events.v1"


class Worker:
    """Partitions whose positions the test moves, a log that the test appends to, and a clock."""

    def __init__(self, partitions: int = 1) -> None:
        self.now_s = 1_000.0
        self.ends = {(TOPIC, number): 0 for number in range(partitions)}
        self.wanted: list[int] = []
        self.held = [
            SimpleNamespace(
                log=LogPartition("log", TOPIC, number), position=0, max_event_us=None,
                seal_at=self.wanted.append,
            )
            for number in range(partitions)
        ]  # fmt: skip
        self.records_end: dict[int, int] = {}
        self.marks: list[ProgressMark] = []
        self.moved = asyncio.Event()
        self.published = asyncio.Event()
        self.answer_s = 0.0
        self.fails = self.is_silent = False
        self.progress = MarkPublisher(
            lambda: cast("list[AssignedPartition]", self.held),
            self,
            lambda partition, end: self.records_end.get(partition.log.partition, end),
            self._publish,
            self.moved,
            lambda: round(self.now_s * 1e6),
            lambda: self.now_s,
        )

    async def ask(self, wanted: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        self.now_s += self.answer_s
        if self.is_silent:
            raise RetriableSinkError("Kafka does not say where its logs end")
        return {key: self.ends[key] for key in wanted}

    def partitions(self) -> Mapping[str, int]:
        return {TOPIC: len(self.ends)}

    async def _publish(self, marks: list[ProgressMark]) -> None:
        if self.fails:
            raise RetriableSinkError("Kafka is away")
        self.marks += marks
        self.published.set()

    async def after(self, seconds: float) -> list[ProgressMark]:
        """Let time pass; return the marks that the next look publishes."""
        self.now_s += seconds
        self.marks.clear()
        await self.progress.look()
        return list(self.marks)


async def test_a_stored_batch_is_marked_at_the_next_look() -> None:
    worker = Worker(2)
    first, second = worker.held
    worker.ends[TOPIC, 0] = 7
    await worker.after(0)
    assert await worker.after(0.2) == []
    first.position, first.max_event_us = 7, 5
    [mark] = await worker.after(0.2)
    assert (mark.log, mark.position, mark.log_end, mark.max_event_us) == (first.log, 7, 7, 5)
    assert mark.arrived_us == 1_000_000_000, "all that was in the log when it was asked"
    assert (mark.at_us, mark.sources) == (1_000_400_000, {TOPIC: 2})
    assert {m.log for m in await worker.after(1)} == {first.log, second.log}


async def test_an_idle_partition_advances_and_asks_less_often() -> None:
    worker = Worker()
    seen = [mark for _ in range(1_000) for mark in await worker.after(0.2)]
    assert [mark.arrived_us for mark in seen] == [mark.at_us for mark in seen]
    assert 10 + 36 <= len(seen) <= 12 + 39, "a second apart for ten seconds, then five"
    worker.ends[TOPIC, 0] = worker.held[0].position = 3
    busy = [mark for _ in range(30) for mark in await worker.after(0.2)]
    assert len(busy) >= 6


async def test_marks_say_soon_after_full_seconds_what_had_arrived_by_then() -> None:
    worker = Worker()
    worker.now_s = 1_003.57
    busy = [mark.at_us for _ in range(20) for mark in await worker.after(0.2)][1:]
    assert busy and all(at_us % 1_000_000 < 250_000 for at_us in busy)
    idle = [mark.at_us for _ in range(200) for mark in await worker.after(0.2)][-4:]
    assert all(1_000_000 <= at_us % 5_000_000 < 1_250_000 for at_us in idle)


async def test_what_was_in_the_log_when_a_minute_had_settled_is_wanted_once_and_nothing_else() -> (
    None
):
    worker = Worker()
    worker.now_s = 1_201.5
    await worker.after(0)
    worker.wanted.clear()
    for tenth in range(1_300):
        worker.ends[TOPIC, 0] = worker.held[0].position = tenth
        await worker.after(0.1)
    [first, second] = worker.wanted
    assert 590 <= first <= 600 and second == first + 600, "at 1,261 s and 1,321 s"


async def test_what_a_minute_waits_for_is_wanted_also_when_kafka_answers_the_second_question() -> (
    None
):
    worker = Worker()
    worker.now_s = 1_201.5
    await worker.after(0)
    worker.wanted.clear()
    worker.ends[TOPIC, 0] = 7
    worker.is_silent = True
    with pytest.raises(RetriableSinkError):
        await worker.after(60)
    worker.is_silent = False
    await worker.after(1)
    assert worker.wanted == [7]


async def test_however_long_an_answer_takes_no_question_is_asked_a_moment_before_its_second() -> (
    None
):
    worker = Worker()
    worker.answer_s = 0.3
    worker.now_s = 1_003.57
    await worker.after(0)
    for _ in range(20):
        [mark] = await worker.after(worker.progress._ask_at_s - worker.now_s)
        assert mark.arrived_us is not None
        assert mark.arrived_us % 1_000_000 < 50_000


async def test_a_lagging_partition_stands_still_however_long_it_lags() -> None:
    worker = Worker()
    await worker.after(0)
    for _ in range(300):
        worker.ends[TOPIC, 0] += 1
        marks = await worker.after(1)
        assert [mark.arrived_us for mark in marks] == [1_000_000_000]
    assert marks[0].lag_records == 300
    worker.held[0].position = 200
    [mark] = await worker.after(0.2)
    assert mark.arrived_us == 1_200_000_000


async def test_a_slow_answer_speaks_of_the_time_before_it_was_asked() -> None:
    worker = Worker()
    worker.answer_s = 3.0
    [mark] = await worker.after(0)
    assert (mark.arrived_us, mark.at_us) == (1_000_000_000, 1_003_000_000)


async def test_markers_of_transactions_at_the_end_count_as_nothing() -> None:
    worker = Worker()
    worker.ends[TOPIC, 0] = 1
    [mark] = await worker.after(1)
    assert (mark.arrived_us, mark.lag_records) == (None, 1)
    worker.records_end[0] = 0
    [mark] = await worker.after(1)
    assert (mark.arrived_us, mark.lag_records) == (mark.at_us, 0)


async def test_a_mark_that_could_not_be_sent_is_made_up_for() -> None:
    worker = Worker()
    await worker.after(0)
    worker.held[0].position, worker.fails = 4, True
    with pytest.raises(RetriableSinkError):
        await worker.after(0.2)
    worker.fails = False
    marks: list[Any] = [mark for _ in range(6) for mark in await worker.after(0.2)]
    assert marks[0].position == 4


async def test_nothing_is_said_of_a_partition_that_was_taken_away() -> None:
    worker = Worker(2)
    await worker.after(0)
    gone = worker.held.pop()
    assert all(mark.log != gone.log for mark in await worker.after(1))
    gone.position = 9
    worker.ends[TOPIC, 1] = 12
    worker.held.append(gone)
    marks = {mark.log.partition: mark for mark in await worker.after(1)}
    assert marks[1].arrived_us is None, "it had another owner meanwhile"


async def test_a_position_that_has_moved_is_marked_without_waiting_for_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_marks, "_LOOK_S", 3_600.0)
    worker = Worker()
    running = asyncio.create_task(worker.progress.run())
    try:
        async with asyncio.timeout(60):
            await worker.published.wait()  # by the first question where the log ends
            worker.progress._ask_at_s = worker.now_s + 3_600.0
            for position in (4, 9):
                worker.held[0].position = position
                worker.moved.set()
                while worker.marks[-1].position != position:
                    worker.published.clear()
                    await worker.published.wait()
    finally:
        running.cancel()
