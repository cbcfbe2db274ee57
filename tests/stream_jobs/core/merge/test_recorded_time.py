"""Recorded traffic closes its windows by its own times, as fast as it comes, and misses none."""

from __future__ import annotations

import pytest

from tests.stream_jobs.core.merge.delta_records import (
    MINUTE_US,
    NOON_US,
    TOPIC,
    at,
    log,
    window_rows,
)
from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.merge.open_windows import WANTED
from tokentide_jobs.core.merge.recorded_time import RecordedProgress
from tokentide_jobs.core.merge.window_merge import WindowMerge

SETTLE_US = 20_000_000
SECOND_US = 1_000_000


class Recording:
    """Two sources, first seen within moments; minutes count from noon."""

    def __init__(self) -> None:
        self.progress = RecordedProgress(SETTLE_US)
        self.merge = WindowMerge((("tenant",),), MINUTE_US, 5 * MINUTE_US)
        self.closed: list[int] = []

    def add(self, *minutes: int) -> None:
        rows = [
            {"window_start": at(NOON_US + m * MINUTE_US), "tenant": "acme", "requests": 1}
            for m in minutes
        ]
        self.merge.add(window_rows(rows).select(list(WANTED)), self.progress.complete_us())

    def mark(self, source: int, reached: int | None, *, at_s: int = 0, read_s: int = 0) -> None:
        """Say how far a source is stored, and close what that completes.

        Args:
            source: Which of the two.
            reached: Minute of its latest event.
            at_s: When that is published.
            read_s: What had arrived by then is read.
        """
        newest_mark = ProgressMark(
            log=log(source), position=5, log_end=5, arrived_us=read_s * SECOND_US,
            max_event_us=None if reached is None else NOON_US + reached * MINUTE_US,
            at_us=at_s * SECOND_US, sources={TOPIC: 2},
        )  # fmt: skip
        self.progress.note(0, newest_mark)
        closed = self.merge.close(self.progress)
        self.closed += [(one.start_us - NOON_US) // MINUTE_US for one in closed]


def test_hours_close_at_once_from_the_first_event_on_and_an_empty_minute_is_one_of_them() -> None:
    stream = Recording()
    stream.add(0, 1, 3, 200)
    stream.mark(0, 200, at_s=1)
    assert stream.closed == [], "the other source has published nothing yet"
    stream.mark(1, 200)
    assert stream.closed == list(range(199))
    assert stream.progress.now_us == NOON_US + 200 * MINUTE_US


def test_a_source_that_lags_holds_windows_back_and_what_it_brings_counts() -> None:
    stream = Recording()
    stream.add(0, 60)
    stream.mark(0, 60, at_s=1)
    stream.mark(1, 10)
    assert stream.closed == list(range(9))
    stream.add(*range(11, 61))
    stream.mark(1, 60)
    assert stream.closed == list(range(59))
    assert (stream.merge.late_requests, stream.merge.given_up) == (0, 0)


@pytest.mark.parametrize("reached", [None, 10])
def test_a_source_that_was_read_to_its_end_after_another_got_somewhere_delays_no_window(
    reached: int | None,
) -> None:
    stream = Recording()
    stream.add(0, 60)
    stream.mark(1, reached, at_s=100, read_s=99)
    stream.mark(0, 60, at_s=100)
    before = list(stream.closed)
    stream.mark(1, reached, at_s=101, read_s=99)
    assert stream.closed == before, "what came to it since may lie before the minute 60"
    stream.mark(1, reached, at_s=102, read_s=101)
    assert stream.closed == list(range(59))


def test_a_topic_that_was_made_anew_is_waited_for_again() -> None:
    stream = Recording()
    stream.add(0, 60)
    stream.mark(0, 60, at_s=1)
    stream.mark(1, 20)
    newest_mark = ProgressMark(
        log=log(1, "log-2"), position=0, log_end=4, arrived_us=None, max_event_us=None, at_us=0,
        sources={TOPIC: 2},
    )  # fmt: skip
    stream.progress.note(0, newest_mark)
    stream.mark(0, 61, at_s=1)
    assert stream.closed == list(range(19))


@pytest.mark.parametrize("brings", [(), (55, 61)])
def test_what_was_stored_before_and_is_passed_over_is_never_judged_as_silence(
    brings: tuple[int, ...],
) -> None:
    stream = Recording()
    stream.progress.pass_over(NOON_US + 60 * MINUTE_US)
    stream.mark(0, 59, at_s=1)
    stream.add(*brings)
    stream.mark(1, 10)
    assert stream.closed == []
    stream.mark(1, 63, at_s=2)
    stream.mark(0, 63, at_s=2)
    assert stream.closed == [60, 61]


def test_a_saved_state_goes_on_alike_and_one_by_another_time_is_not_taken_up() -> None:
    rules = DetectRules(time="recorded")
    stream, decider = Recording(), Decider(rules, ())
    stream.progress.pass_over(NOON_US)
    stream.mark(0, 60, at_s=1)
    stream.mark(1, 10)
    decider.progress = stream.progress
    saved = decider.to_bytes()
    restored = Decider.from_bytes(saved, rules, ())
    assert restored.progress.to_rows() == stream.progress.to_rows()
    assert restored.progress.complete_us() == NOON_US + 10 * MINUTE_US
    with pytest.raises(ValueError, match="by recorded time, expected clock"):
        Decider.from_bytes(saved, DetectRules(), ())
