"""The sums of evidence: dead zone, direction and cap of levels; likelihood ratios of counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tokentide_jobs.core.detect.cusum import DOWN, UP, add_level_evidence
from tokentide_jobs.core.detect.llr import (
    add_drop_evidence,
    add_request_evidence,
    add_rise_evidence,
    usual_requests,
)
from tokentide_jobs.core.detect.parameters import Parameters

PARAMETERS = Parameters()
HERE = np.ones((1, 1), np.bool_)


def one(value: float) -> NDArray[np.float32]:
    return np.full((1, 1), value, np.float32)


def level_windows(*residuals: float, sigma: float = 0.1) -> NDArray[np.float32]:
    evidence = np.zeros((2, 1, 1), np.float32)
    for residual in residuals:
        add_level_evidence(evidence, one(residual), one(sigma), one(0.2), HERE, PARAMETERS)
    return evidence[:, 0, 0]


def test_differences_inside_the_dead_zone_never_add_up() -> None:
    assert level_windows(*[0.2] * 1_000).tolist() == [0, 0]


def test_a_difference_adds_what_lies_beyond_the_dead_zone_less_the_drift() -> None:
    assert level_windows(0.35)[UP] == pytest.approx(1.0)
    assert level_windows(-0.35)[DOWN] == pytest.approx(1.0)
    assert level_windows(0.35)[DOWN] == 0


def test_one_window_counts_three_sigma_at_most_so_that_four_open_an_alarm() -> None:
    assert level_windows(50.0)[UP] == pytest.approx(2.5)
    assert level_windows(*[50.0] * 3)[UP] < PARAMETERS.level_threshold
    assert level_windows(*[50.0] * 4)[UP] > PARAMETERS.level_threshold


def test_evidence_is_capped_and_falls_by_the_drift() -> None:
    assert level_windows(*[50.0] * 100)[UP] == pytest.approx(36)
    assert level_windows(*[50.0] * 100, 0.0)[UP] == pytest.approx(35.5)


def test_a_level_without_a_learned_sigma_is_no_evidence() -> None:
    assert level_windows(*[9.0] * 50, sigma=math.inf).tolist() == [0, 0]


def test_an_absent_window_leaves_evidence_as_it_is() -> None:
    evidence = np.full((2, 1, 1), 5, np.float32)
    add_level_evidence(evidence, one(0), one(0.1), one(0.2), ~HERE, PARAMETERS)
    assert evidence.tolist() == [[[5]], [[5]]]


def rises(hits: float, n: float, ratio: float, count: int = 1) -> NDArray[np.float32]:
    evidence = np.zeros((2, 1, 1), np.float32)
    for _ in range(count):
        add_rise_evidence(evidence, one(hits), one(n), one(ratio), HERE, PARAMETERS)
    return evidence[:, 0, 0]


def test_a_ratio_is_tested_by_its_likelihoods() -> None:
    expected = 4 * math.log(0.08 / 0.025) + 96 * math.log(0.92 / 0.975)
    assert expected < 0
    assert rises(4, 100, 0.01)[UP] == 0
    expected = 6 * math.log(0.08 / 0.025) + 94 * math.log(0.92 / 0.975)
    assert rises(6, 100, 0.01)[UP] == pytest.approx(expected, rel=1e-4)


def test_quiet_keys_collect_evidence_error_by_error() -> None:
    by_one = rises(1, 1, 0.005)
    assert 0 < by_one[DOWN] <= PARAMETERS.severe_threshold / 2.5
    assert rises(1, 1, 0.005, count=4)[DOWN] > PARAMETERS.severe_threshold
    assert rises(0, 1, 0.005, count=50).tolist() == [0, 0]


def test_no_single_window_reaches_a_threshold() -> None:
    alone = rises(5_000, 5_000, 0.005)
    assert alone[UP] == pytest.approx(18 / 2.5)
    assert rises(5_000, 5_000, 0.005, count=3)[UP] > 18


def test_a_ratio_that_is_always_high_has_no_severe_rise() -> None:
    assert rises(40, 100, 0.35, count=20).tolist() == [0, 0]


def test_a_cache_that_is_never_hit_cannot_drop() -> None:
    evidence = np.zeros((2, 1, 1), np.float32)
    for _ in range(50):
        add_drop_evidence(evidence, one(0), one(500), one(0.05), HERE, PARAMETERS)
    assert evidence[DOWN].item() == 0
    for _ in range(3):
        add_drop_evidence(evidence, one(50), one(500), one(0.6), HERE, PARAMETERS)
    assert evidence[DOWN].item() > PARAMETERS.ratio_threshold


def requests(seen: float, usual: float, count: int) -> NDArray[np.float32]:
    evidence = np.zeros((2, 1, 1), np.float32)
    for _ in range(count):
        add_request_evidence(evidence[:, 0], one(seen)[0], one(usual)[0], HERE[0], PARAMETERS)
    return evidence[:, 0, 0]


def test_three_empty_windows_of_a_busy_key_are_a_drop_and_half_the_traffic_is_none() -> None:
    assert requests(0, 100, 3)[DOWN] > PARAMETERS.ratio_threshold
    assert requests(50, 100, 100)[DOWN] == 0


def test_double_traffic_is_no_rise_and_sixfold_is() -> None:
    assert requests(200, 100, 100)[UP] == 0
    assert requests(600, 100, 3)[UP] > PARAMETERS.ratio_threshold


def test_a_quiet_key_must_be_silent_for_longer() -> None:
    windows = next(count for count in range(1, 500) if requests(0, 0.5, count)[DOWN] > 18)
    assert 90 < windows < 120


def test_expected_requests_are_those_above_the_floor() -> None:
    assert usual_requests(np.log(one(110)), 10).item() == pytest.approx(100, rel=1e-4)
    assert usual_requests(np.log(one(9)), 10).item() == pytest.approx(0.02)
