"""The daily cut of tickets: the share of false ones stays below the rate, and real ones stay."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.alert.ticket_order import in_order
from tokentide_jobs.core.alert.tickets import rank_tickets

WINDOWS = 1_440
TESTS = 500


def evidence(shift: NDArray[np.float64], random: np.random.Generator) -> list[float]:
    """Return the greatest evidence of a day by test: CUSUMs of log-likelihood ratios of 1 sigma."""
    total, greatest = np.zeros(len(shift)), np.zeros(len(shift))
    for _ in range(WINDOWS):
        total = np.maximum(0.0, total + random.standard_normal(len(shift)) + shift - 0.5)
        greatest = np.maximum(greatest, total)
    return [float(one) for one in greatest]


def test_on_null_data_hardly_a_day_keeps_any() -> None:
    random = np.random.default_rng(7)
    days = [evidence(np.zeros(TESTS), random) for _ in range(20)]
    kept = [any(one.is_kept for one in rank_tickets(day, WINDOWS, TESTS)) for day in days]
    assert sum(kept) <= 2  # a tenth of the days; all of them false where one is


def test_real_ones_are_kept_and_few_others() -> None:
    random = np.random.default_rng(8)
    shift = np.where(np.arange(TESTS) < 10, 1.0, 0.0)
    ranked = rank_tickets(evidence(shift, random), WINDOWS, TESTS)
    kept = {one.place for one in ranked if one.is_kept}
    assert set(range(10)) <= kept
    assert len(kept) <= 12


def test_a_test_of_ten_seconds_needs_evidence_as_one_that_has_six_times_the_windows() -> None:
    row = {"kind": "anomaly", "severity": "ticket", "state": "open", "changed_us": 0}
    # 20 keys by ten seconds, nothing by the minute.
    least = math.log(8_640 * 20 * 14 / 0.1)
    rows = [{**row, "evidence": least + more, "tests": 6 * 20 * 14} for more in (0.01, -0.01)]
    assert [[one["is_kept"] for one in in_order([row])] for row in rows] == [[True], [False]]


def test_the_cut_is_that_of_e_bh() -> None:
    least = [math.log(WINDOWS * TESTS / (0.1 * number)) for number in (1, 2, 3)]
    found = rank_tickets([least[2], least[1] - 0.01, least[0] - 0.01, 0.0], WINDOWS, TESTS)
    assert [(one.place, one.is_kept) for one in found] == [
        (2, True), (1, True), (0, True), (3, False),
    ]  # fmt: skip
    weaker = rank_tickets([least[2] - 0.01, least[1] - 0.01, least[0] - 0.01], WINDOWS, TESTS)
    assert not any(one.is_kept for one in weaker)
