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
