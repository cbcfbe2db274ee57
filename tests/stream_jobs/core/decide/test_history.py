"""What is learned from stored windows is what the stream teaches, and takes nothing back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.each import each
from tests.stream_jobs.core.decide.recorded_stream import QUICK
from tests.stream_jobs.core.merge.delta_records import (
    MINUTE_US,
    NOON_US,
    at,
    log,
    mark,
    window_rows,
    windows,
)
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.decide.history import learn_history, stride_for, unlearned_levels
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.detect.window_view import ClosedWindow
from tokentide_jobs.core.merge.open_windows import WANTED
from tokentide_jobs.core.merge.stored_windows import stored_windows
from tokentide_jobs.core.merge.window_merge import FAST_US

RULES = DetectRules(parameters=QUICK)
DAY_US = 86_400_000_000
MINUTES = 30


def minute_rows(minute: int) -> list[dict[str, Any]]:
    chance = np.random.default_rng((7, minute + 10_000))
    rows: list[dict[str, Any]] = []
    for tenant in ("acme", "globex", "initech"):
        if chance.random() < 0.8 or (tenant == "initech" and not rows):
            requests = int(chance.integers(1, 400))
            hist = [{"key": int(340 + chance.integers(9)), "value": requests}]
            rows.append(
                {
                    "window_start": at(NOON_US + minute * MINUTE_US), "tenant": tenant,
                    "provider": "p", "model": f"m{chance.integers(2)}", "requests": requests,
                    "errors": int(chance.integers(requests + 1)) // 9,
                    "cost_pico_usd": 10**9 * requests, "input_tokens": 700 * requests,
                    "output_tokens": 90 * requests, "latency_hist": hist,
                }
            )  # fmt: skip
    return rows


def stored(minutes: Sequence[int]) -> pl.DataFrame:
    rows = [row for minute in minutes for row in minute_rows(minute)]
    return window_rows(rows).select(list(WANTED))


@pytest.mark.parametrize("stride", [1, 7])
def test_the_state_after_stored_windows_is_the_one_after_the_same_windows_as_deltas(
    stride: int,
) -> None:
    decider, learned = Decider(RULES, ()), DetectorState()
    decider.take([mark(NOON_US)])
    minutes = range(0, MINUTES, stride)
    for minute in range(MINUTES):
        start_us, end_us = NOON_US + minute * MINUTE_US, NOON_US + (minute + 1) * MINUTE_US
        rows = window_rows(minute_rows(minute))
        if minute in minutes:
            decider.take([windows(rows, 10 * minute, 10 * minute + 10, stamp_us=start_us)])
        else:
            # What happened in this minute cannot be known: it is given up.
            decider.merge.closed_until_us = end_us
        for tick in range(1, 6):
            decider.take([mark(start_us + tick * 12_200_000, 10 * minute + 10)])
    history = stored_windows(stored(minutes), RULES.levels, MINUTE_US)
    assert learn_history(learned, RULES.levels, history, QUICK) == len(minutes)
    assert learned.last_window == (NOON_US // MINUTE_US) + minutes[-1]
    assert learned.to_bytes() == decider.watched.by_length[MINUTE_US].state.to_bytes()


def test_pieces_of_history_teach_what_all_of_it_does() -> None:
    whole, pieces = DetectorState(), DetectorState()
    learn_history(
        whole, RULES.levels, stored_windows(stored(range(9)), RULES.levels, MINUTE_US), QUICK
    )
    learn_history(
        pieces,
        RULES.levels,
        (
            window
            for begin in (0, 4, 8)
            for window in stored_windows(
                stored(range(begin, min(begin + 4, 9))), RULES.levels, MINUTE_US
            )
        ),
        QUICK,
    )
    assert whole.to_bytes() == pieces.to_bytes()


def watched(levels: Sequence[tuple[str, ...]], days: float) -> DetectorState:
    """Return what was learned of a key of each level since some days ago."""
    detectors = Detectors(QUICK)
    keys = [", ".join(f"{name}=x" for name in level) for level in levels]
    shape = (len(METRICS), len(keys))
    start_us = NOON_US - round(days * DAY_US)
    detectors.judge(ClosedWindow(start_us, keys, np.full(shape, 0.5), np.full(shape, 9.0), True))
    return detectors.state


@pytest.mark.parametrize(
    ("watched_days", "stored_days", "is_learned"),
    [(None, 0.1, True), (0.5, 14, True), (0.5, 1, False), (2.9, 3.5, False), (4, 14, False)],
)
def test_a_level_learns_from_what_is_stored_when_that_is_more_than_was_watched(
    watched_days: float | None, stored_days: float, is_learned: bool
) -> None:
    parameters = dataclasses.replace(QUICK, silent_s=3 * 86_400)
    level = ("tenant", "model")
    state = DetectorState() if watched_days is None else watched([level], watched_days)
    stored_from_us = NOON_US - round(stored_days * DAY_US)
    found = unlearned_levels(state, [level], stored_from_us, NOON_US, parameters)
    assert found == ([level] if is_learned else [])


def test_a_new_level_is_learned_and_the_others_keep_what_they_have() -> None:
    old, new = ("tenant",), ("provider", "model")
    state = watched([old, new], 0)
    before = watched([old, new], 0)
    history = stored_windows(stored(range(3)), [new], MINUTE_US)
    assert learn_history(state, [new], history, QUICK) == 3
    assert state.keys == ["tenant=x", "provider=p, model=m0", "provider=p, model=m1"]
    for name in ("season", "level", "first_window"):
        assert np.array_equal(state.array(name)[:, :, 0], before.array(name)[:, :, 0])
    assert (state.array("updates")[0, -1, 1:] > 1).all()


def test_nothing_stored_changes_nothing() -> None:
    state = watched([("tenant",)], 1)
    saved = state.to_bytes()
    assert learn_history(state, [("tenant",)], iter(()), QUICK) == 0
    assert state.to_bytes() == saved


@each(
    ("windows", "rows", "series", "stride"),
    [
        (1, 1, 1, 1), (2_000, 10**6, 100, 1), (20_160, 10**6, 60, 13), (20_160, 2 * 10**7, 60, 13),
        (20_160, 4 * 10**7, 60, 29), (20_160, 10**6, 5_000, 29), (20_160, 10**9, 9, 59),
    ],
)  # fmt: skip
def test_so_many_windows_are_learned_as_take_seconds(
    windows: int, rows: int, series: int, stride: int
) -> None:
    assert stride_for(windows, rows, series, MINUTE_US) == stride


@each(("series", "stride"), [(60, 119), (5_000, 233), (11_000, 353), (10**6, 353)])
def test_two_weeks_of_ten_seconds_take_no_longer_than_minutes(series: int, stride: int) -> None:
    windows = 6 * 20_160
    assert stride_for(windows, 10**6, series, FAST_US) == stride
    assert math.gcd(stride, 360) == 1, "each ten seconds of an hour have their turn"
    assert series > 11_000 or windows * series / stride <= 4_000_000


def test_marks_of_a_time_whose_deltas_are_passed_over_complete_no_window() -> None:
    decider = Decider(RULES, ())
    decider.seen.settle(log(), 0, 1_000)
    for minute in range(60):
        decider.take([mark(NOON_US + minute * MINUTE_US, position=10 * minute)])
    assert decider.merge.closed_until_us == -1
    decider.take([mark(NOON_US + 60 * MINUTE_US, position=1_000)])
    assert decider.merge.closed_until_us == NOON_US + 60 * MINUTE_US


def test_history_teaches_no_more_keys_than_there_is_room_for() -> None:
    state, levels = DetectorState(), (("tenant",),)
    state.places_of(["feature=a", "feature=b"])
    history = list(stored_windows(stored(range(5)), levels, MINUTE_US))
    assert len({key for window in history for key in window.sums.keys}) == 3
    learn_history(state, levels, history, dataclasses.replace(QUICK, most_keys=4))
    assert len(state.keys) == 4
    assert state.keys[:2] == ["feature=a", "feature=b"]
