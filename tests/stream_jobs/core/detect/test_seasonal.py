"""Expectations of the hour: buckets of weekdays and weekends, interpolated between centres."""

from __future__ import annotations

import numpy as np
import pytest

from tests.each import each
from tests.stream_jobs.core.detect.observed_windows import MINUTE_US, MONDAY_US
from tokentide_jobs.core.detect.seasonal import expected, learn, moment_of

HOUR_US = 60 * MINUTE_US


@each(
    ("hours", "bucket"),
    [(0, 0), (23, 23), (24, 0), (4 * 24 + 23, 23), (5 * 24, 24), (6 * 24 + 23, 47), (7 * 24, 0)],
)
def test_saturday_and_sunday_have_buckets_of_their_own(hours: int, bucket: int) -> None:
    assert moment_of(MONDAY_US + hours * HOUR_US, MINUTE_US).bucket == bucket


def test_the_neighbour_of_fridays_last_half_hour_is_saturday() -> None:
    moment = moment_of(MONDAY_US + 4 * 24 * HOUR_US + 23 * HOUR_US + 50 * MINUTE_US, MINUTE_US)
    assert (moment.bucket, moment.neighbour) == (23, 24)
    assert moment.weight == pytest.approx(20.5 / 60)


def test_a_straight_line_through_hours_is_expected_exactly() -> None:
    means = np.zeros((48, 1, 1), np.float32)
    means[:24, 0, 0] = np.arange(24)
    seen = np.ones((48, 1, 1), np.uint8)
    for minute in (0, 15, 29, 31, 59):
        moment = moment_of(MONDAY_US + 10 * HOUR_US + minute * MINUTE_US, MINUTE_US)
        usual, is_known = expected(means, seen, moment)
        assert usual[0, 0] == pytest.approx(10 + (minute + 0.5) / 60 - 0.5)
        assert is_known.all()


def test_a_neighbour_that_was_never_seen_is_left_out() -> None:
    means = np.full((48, 1, 1), 5, np.float32)
    seen = np.zeros((48, 1, 1), np.uint8)
    moment = moment_of(MONDAY_US + 10 * HOUR_US, MINUTE_US)
    means[moment.neighbour] = 99
    seen[moment.bucket] = 1
    usual, is_known = expected(means, seen, moment)
    assert usual[0, 0] == 5
    assert is_known.all()


def test_learning_begins_as_a_mean_and_ends_at_its_rate() -> None:
    means, counts = np.zeros((1, 1), np.float32), np.zeros((1, 1), np.uint8)
    values = np.random.default_rng(1).normal(3, 1, 200).astype(np.float32)
    ones = np.ones((1, 1), np.float32)
    for value in values:
        learn(means, counts, value - means, ones, 0.001)
    assert means[0, 0] == pytest.approx(values.mean(), abs=1e-3)
    for _ in range(300):
        learn(means, counts, 0 * ones, ones, 0.001)
    before = float(means[0, 0])
    learn(means, counts, ones, ones, 0.001)
    assert means[0, 0] - before == pytest.approx(0.001, rel=1e-3)


def test_what_is_absent_teaches_nothing() -> None:
    means, counts = np.ones((1, 2), np.float32), np.zeros((1, 2), np.uint8)
    learn(means, counts, np.ones((1, 2), np.float32), np.array([[0, 1]], np.float32), 0.004)
    assert counts.tolist() == [[0, 1]]
    assert means.tolist() == [[1, 2]]
