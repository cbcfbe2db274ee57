"""The topic counts as read when its end is reached, whatever the broker takes its time with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from tokentide.control.reader import ControlReader
from tokentide.control.table import StateTable

PLACE = TopicPartition("tokentide.control.v1", 0)


@dataclass
class Record:
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 1


def state_of(run: str) -> Record:
    value = {"schema": "run_state.v1", "at_us": 1, "tenant": "acme", "run": run, "state": "stop"}
    return Record(f"run/acme/{run}".encode(), json.dumps(value).encode())


class Done(Exception):
    """No poll is left."""


class Consumer:
    """Answers polls one after the other: records, position after them, and the newest end."""

    def __init__(self, *polls: tuple[Sequence[Record], int, int | None]) -> None:
        self._polls = list(polls)
        self._position = 0
        self._newest: int | None = None

    async def getmany(self, **_options: Any) -> dict[TopicPartition, Sequence[Record]]:
        if not self._polls:
            raise Done
        records, self._position, self._newest = self._polls.pop(0)
        return {PLACE: records} if records else {}

    def last_poll_timestamp(self, _place: TopicPartition) -> int:
        return 1_000

    async def position(self, _place: TopicPartition) -> int:
        return self._position

    def highwater(self, _place: TopicPartition) -> int | None:
        return self._newest


async def read(
    table: StateTable, end: int, *polls: tuple[Sequence[Record], int, int | None]
) -> None:
    table.begin()
    reader = ControlReader(cast(Any, None), table, cast(Any, None))
    with pytest.raises(Done):
        await reader._follow(cast(Any, Consumer(*polls)), {PLACE: end})


@pytest.fixture
async def table() -> StateTable:
    found = StateTable(100_000)
    await read(found, 2, ([state_of("first"), state_of("last")], 2, 2))
    assert found.is_read
    return found


async def test_a_slow_answer_of_a_second_reading_makes_no_state_unknown(table: StateTable) -> None:
    await read(table, 2, ([state_of("first")], 1, 2), ([], 1, 2), ([], 1, 2))
    assert table.run_state("acme", "last").state == "stop"
    await read(table, 2, ([state_of("first")], 1, 2), ([], 1, 2), ([state_of("last")], 2, 2))
    assert table.run_state("acme", "last").state == "stop"


async def test_what_is_not_in_the_topic_any_more_has_ended_when_its_end_is_reached(
    table: StateTable,
) -> None:
    # The last record is a marker, which moves the position and is not handed out.
    await read(table, 3, ([state_of("first")], 1, 3), ([], 3, 3))
    assert table.run_state("acme", "first").state == "stop"
    assert table.run_state("acme", "last").state == "unknown"


async def test_a_log_that_was_cut_meanwhile_ends_where_the_newest_answer_says(
    table: StateTable,
) -> None:
    await read(table, 9, ([state_of("first")], 1, 1))
    assert table.run_state("acme", "last").state == "unknown"


async def test_before_any_answer_nothing_counts_as_read() -> None:
    table = StateTable(100_000)
    await read(table, 2, ([], 0, None), ([], 0, None))
    assert not table.is_read


class BrokenBatch:
    """Gives up, as aiokafka does, at the third of five records of a batch; a sixth follows.

    A reader that asks for all records of a batch gets none of it; one that asks for one gets it.
    """

    def __init__(self) -> None:
        self.at = 0

    async def getmany(
        self, *_places: TopicPartition, max_records: int | None = None, **_options: Any
    ) -> dict[TopicPartition, Sequence[Record]]:
        if self.at < 5 and (max_records is None or self.at >= 2):
            raise UnicodeDecodeError("utf-8", b"cl\xe9", 2, 3, "unexpected end of data")
        if self.at > 5:
            raise Done
        self.at += 1
        return {PLACE: [state_of(f"run-{self.at - 1}")]}

    def seek(self, _place: TopicPartition, offset: int) -> None:
        self.at = offset

    async def position(self, _place: TopicPartition) -> int:
        return self.at

    def last_poll_timestamp(self, _place: TopicPartition) -> int:
        return 1_000

    def highwater(self, _place: TopicPartition) -> int | None:
        return 6


async def test_a_header_name_that_is_not_utf_8_stops_no_reader() -> None:
    table = StateTable(100_000)
    table.begin()
    reader = ControlReader(cast(Any, None), table, cast(Any, None))
    with pytest.raises(Done):
        await reader._follow(cast(Any, BrokenBatch()), {PLACE: 6})
    assert table.is_read
    known = [table.run_state("acme", f"run-{number}").state for number in range(6)]
    assert [state == "stop" for state in known] == [True, True, False, False, False, True]
