"""Marks of progress: what has arrived by when is known from offsets alone, and never too early."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import LATENESS_US, Arrivals, ProgressMark

LOG = LogPartition("log", "tokentide.events.v1", 2)
MARK = ProgressMark(
    log=LOG,
    position=90,
    log_end=100,
    arrived_us=5_000_000_000,
    max_event_us=7,
    at_us=5_000_000_001,
    sources={"tokentide.events.v1": 4},
)


def test_a_mark_reads_back_as_it_was_written() -> None:
    for mark in (MARK, replace(MARK, arrived_us=None, max_event_us=None)):
        assert ProgressMark.from_json(LOG, mark.to_json()) == mark
    assert (MARK.lag_records, MARK.watermark_us) == (10, 5_000_000_000 - LATENESS_US)
    assert replace(MARK, arrived_us=None).watermark_us is None


@pytest.mark.parametrize("value", [b"{}", b"[]", b"null", b'{"position": 1}', b"rubbish"])
def test_what_is_no_mark_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError):
        ProgressMark.from_json(LOG, value)


def test_what_had_arrived_is_known_once_the_end_of_then_is_stored() -> None:
    arrivals = Arrivals()
    assert arrivals.reached_us(0) is None
    arrivals.note(100, 10)
    arrivals.note(200, 10)
    arrivals.note(300, 25)
    assert arrivals.reached_us(9) is None
    assert arrivals.reached_us(10) == 200
    assert arrivals.reached_us(24) == 200
    arrivals.note(400, 25)
    assert arrivals.reached_us(30) == 400
    assert arrivals.reached_us(10) == 400, "it goes back"


def test_an_idle_partition_advances_with_the_clock_and_a_lagging_one_does_not() -> None:
    idle, lagging = Arrivals(), Arrivals()
    for second in range(10_000):
        idle.note(second, 7)
        lagging.note(second, 8 + second)
        assert idle.reached_us(7) == second
        assert lagging.reached_us(7) is None
    assert lagging.reached_us(8) == 0
    assert lagging.reached_us(8 + 9_999) == 9_999


def test_no_record_is_ever_claimed_before_it_is_stored() -> None:
    """Against a history of appends that the estimate does not see."""
    chance = random.Random(5)
    for _ in range(20):
        arrivals, appended, position, now_us = Arrivals(), [], 0, 0
        for _ in range(3_000):
            now_us += chance.randrange(1, 50)
            if chance.random() < 0.6:
                appended.append(now_us)
            if chance.random() < 0.3:
                arrivals.note(now_us, len(appended))
            if chance.random() < 0.1:
                position = chance.randint(position, len(appended))
            reached_us = arrivals.reached_us(position)
            waiting = appended[position:]
            assert (
                reached_us is None
                or not waiting
                or reached_us < waiting[0]
                or (
                    # Asked in the very microsecond of an append.
                    reached_us == waiting[0]
                )
            )
        assert reached_us is not None


def test_markers_at_the_end_of_a_log_hold_nothing_back() -> None:
    arrivals = Arrivals()
    arrivals.note(100, 11)
    arrivals.note(200, 12)
    assert arrivals.reached_us(10) is None
    arrivals.note(300, 10)  # offsets 10 and 11 turned out to hold no record
    assert arrivals.reached_us(10) == 300
    assert arrivals.log_end == 10
