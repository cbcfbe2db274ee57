"""A clock that is far ahead of the database's moves no time, and what it said passes with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.stream_jobs.core.decide.recorded_stream import BUDGETS, RULES
from tests.stream_jobs.core.merge.delta_records import (
    DOLLAR,
    MINUTE_US,
    NOON_US,
    at,
    log,
    mark,
    steps,
    window_rows,
    windows,
)
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decisions import Ahead, Decisions
from tokentide_jobs.core.merge.completeness import AHEAD_US
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.tables import DAY_US

TICK_US = 15_000_000
EVERYTHING = replace(BUDGETS[0], thresholds=(50,))


class Stream:
    """Two ingest workers, each with a partition; that of the second may be ahead."""

    def __init__(self) -> None:
        self.decider = Decider(RULES, [EVERYTHING])
        self.decider.budgets.seed(EVERYTHING.name, {}, [])
        self.now_us = NOON_US
        self._batches = 0

    def batch(self, host: int, stamp_us: int, dollars: int = 0) -> list[DeltaRecord]:
        """Return a call of now, with its step of a run, as a worker publishes it."""
        self._batches += 1
        row = {"window_start": at(self.now_us // 10_000_000 * 10_000_000), "tenant": "acme",
               "provider": "p", "model": "m", "requests": 9, "events": 9,
               "cost_pico_usd": dollars * DOLLAR}  # fmt: skip
        step = {"tenant": "acme", "run": "calm", "at_us": self.now_us, "agent": "critic"}
        start, end = self._batches, self._batches + 1
        return [
            windows(window_rows([row]), start, end, source=log(host), stamp_us=stamp_us),
            steps([step], start, end, stamp_us=stamp_us),
        ]

    def passes(self, minutes: int, ahead_us: int = 0, hosts: tuple[int, ...] = (0, 1)) -> Decisions:
        """Let time pass, with a batch and a mark of each worker again and again."""
        found = Decisions()
        for _ in range(minutes * MINUTE_US // TICK_US):
            self.now_us += TICK_US
            for host in hosts:
                clock_us = self.now_us + (ahead_us if host == hosts[-1] else 0)
                records = [
                    *self.batch(host, clock_us),
                    mark(clock_us, self._batches + 1, log(host), clock_us, partitions=len(hosts)),
                ]
                found.extend(self.decider.take(records, self.now_us))
        return found


def judged(found: Decisions) -> set[int]:
    return {one.start_us for one in found.windows if one.length_us == MINUTE_US}


def test_while_a_clock_is_ahead_time_is_that_of_the_others_and_afterwards_all_is_judged() -> None:
    stream = Stream()
    stream.passes(5)
    wrong = stream.passes(6, ahead_us=DAY_US)
    decider = stream.decider
    assert decider.progress.now_us == stream.now_us
    assert set(wrong.ahead) == {Ahead(log(1), DAY_US)}
    assert not judged(wrong) - {stream.now_us // MINUTE_US * MINUTE_US - 7 * MINUTE_US}
    assert len(decider.guard.live) == 1, "no run ended by it"
    right = stream.passes(8)
    assert right.ahead == []
    newest_us = stream.now_us // MINUTE_US * MINUTE_US - 2 * MINUTE_US
    assert judged(right) >= {newest_us, newest_us - MINUTE_US, newest_us - 2 * MINUTE_US}
    late = stream.decider.merge.late_requests
    stream.passes(3)
    assert stream.decider.merge.late_requests == late


def test_where_the_only_clock_is_ahead_time_goes_on_by_that_of_the_database() -> None:
    stream = Stream()
    stream.passes(5, hosts=(0,))
    found = stream.passes(10, ahead_us=DAY_US, hosts=(0,))
    assert stream.decider.progress.now_us == stream.now_us
    assert len(judged(found)) <= 1
    held = stream.decider.merge._open.starts
    assert min(held) >= stream.now_us - 5 * MINUTE_US, "what is not judged is given up"
    assert len(judged(stream.passes(8, hosts=(0,)))) >= 4


def test_a_budget_keeps_its_period_and_its_news() -> None:
    stream = Stream()
    stream.passes(1)
    found = stream.decider.take(stream.batch(1, stream.now_us + DAY_US, dollars=60), stream.now_us)
    found.extend(stream.passes(1))
    assert [(one.notice.what, one.is_history) for one in found.notices] == [("threshold", False)]


def test_how_far_ingest_has_come_is_read_from_marks_of_now() -> None:
    stream = Stream()
    stream.passes(1, ahead_us=DAY_US)
    (other, mine) = stream.decider.sources.all()
    assert (other.arrived_us, mine.arrived_us) == (stream.now_us, None)
    stream.passes(1)
    assert [one.arrived_us for one in stream.decider.sources.all()] == [stream.now_us] * 2


@pytest.mark.parametrize("ahead_us", [AHEAD_US, AHEAD_US + 1])
def test_a_clock_is_believed_up_to_the_tolerance(ahead_us: int) -> None:
    decider = Decider(RULES, ())
    found = decider.take([mark(NOON_US + ahead_us)], NOON_US)
    is_believed = ahead_us == AHEAD_US
    assert decider.progress.now_us == NOON_US + (ahead_us if is_believed else 0)
    assert bool(found.ahead) is not is_believed


def test_what_had_arrived_by_a_clock_that_was_set_back_is_not_believed_either() -> None:
    decider = Decider(RULES, ())
    found = decider.take([mark(NOON_US + DAY_US, stamp_us=NOON_US)], NOON_US)
    assert found.ahead == [Ahead(log(), DAY_US)]
    assert decider.progress.complete_us() < 0


def test_the_steps_of_a_clock_that_is_ahead_are_of_now() -> None:
    decider = Decider(RULES, ())
    step = {"tenant": "acme", "run": "wild", "at_us": NOON_US + DAY_US, "agent": "critic"}
    decider.take([steps([step], 0, 1, stamp_us=NOON_US + DAY_US)], NOON_US)
    (run,) = decider.guard.live.values()
    assert run.last_us == NOON_US


def test_recorded_time_is_that_of_events_whatever_the_clock_of_the_database() -> None:
    recorded = replace(RULES, time="recorded")
    record = mark(NOON_US + DAY_US)
    bounded, free = Decider(recorded, ()), Decider(recorded, ())
    assert bounded.take([record], NOON_US) == free.take([record])
    assert bounded.to_bytes() == free.to_bytes()
