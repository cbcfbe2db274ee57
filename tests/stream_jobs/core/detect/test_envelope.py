"""Envelopes: new extremes count, repeated ones do not, and what is old is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from tokentide_jobs.core.detect.envelope import announce, excess, widen

KEEP = np.full((1, 1, 1), 0.5, np.float32)


def box(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.full((1, 1, 1), value, np.float32)


def test_the_first_value_sets_both_bounds_and_scores_nothing() -> None:
    low, high = box(np.nan), box(np.nan)
    assert excess(box(7), low, high, 0.1)[0, 0] == 0
    widen(box(7), low, high, KEEP)
    assert (low.item(), high.item()) == (7, 7)
    assert excess(box(8), low, high, 0.1)[0, 0] == 0  # no width yet


@pytest.mark.parametrize(("value", "score"), [(10, 0), (11, 1), (12, 2), (-1, 1), (5, 0)])
def test_the_excess_is_counted_in_shares_of_the_width(value: float, score: float) -> None:
    assert excess(box(value), box(0), box(10), 0.1)[0, 0] == pytest.approx(score)


def test_the_largest_stream_decides() -> None:
    streams = np.array([1.0, np.nan, 13.0], np.float32).reshape(3, 1, 1)
    low, high = np.zeros((3, 1, 1), np.float32), np.full((3, 1, 1), 10, np.float32)
    assert excess(streams, low, high, 0.1)[0, 0] == pytest.approx(3)


def test_bounds_are_pulled_to_their_middle_and_out_to_new_values() -> None:
    low, high = box(0), box(10)
    widen(box(9), low, high, KEEP)
    assert (low.item(), high.item()) == (2.5, 9)


def test_an_absent_value_leaves_the_bounds_as_they_are() -> None:
    low, high = box(0), box(10)
    widen(box(np.nan), low, high, KEEP)
    assert (low.item(), high.item()) == (0, 10)


def test_a_repeated_extreme_is_announced_once() -> None:
    throttle, refractory = np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)
    score = np.full((1, 1), 2, np.float32)
    assert announce(score, throttle, refractory).item() == 2
    assert announce(score, throttle, refractory).item() == 0
    assert announce(4 * score, throttle, refractory).item() == pytest.approx(8 / 1.1)
    refractory *= 0
    assert announce(score, throttle, refractory).item() == pytest.approx(2 / 1.2)
