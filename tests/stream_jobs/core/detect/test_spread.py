"""Sigma by the number of observations: learned a class at a time, borrowed until then."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.each import each
from tokentide_jobs.core.detect.spread import CLASSES, classes_of, learn_sigma, sigma_of

HERE = np.ones((1, 1), np.bool_)


def cell(value: float) -> NDArray[np.float32]:
    return np.full((1, 1), value, np.float32)


@each(("n", "place"), [(0, 0), (3, 0), (4, 1), (10, 2), (99, 3), (100, 4), (3_200, 7), (1e9, 7)])
def test_a_class_is_half_a_decade_of_n(n: float, place: int) -> None:
    assert classes_of(cell(n)).item() == place


def learned(
    n: float, sigma: float, rounds: int = 2_000
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    sigmas, counts = np.zeros((CLASSES, 1, 1), np.float32), np.zeros((CLASSES, 1, 1), np.uint8)
    for residual in np.random.default_rng(3).normal(0, sigma, rounds):
        learn_sigma(sigmas, counts, classes_of(cell(n)), cell(residual), cell(1), 0.001)
    return sigmas, counts


def test_sigma_is_that_of_the_residuals() -> None:
    sigmas, counts = learned(50, 0.3)
    assert sigma_of(sigmas, counts, classes_of(cell(50)), HERE, 30).item() == pytest.approx(
        0.3, rel=0.06
    )


def test_a_class_of_fewer_observations_borrows_a_larger_sigma_and_one_of_more_the_same() -> None:
    sigmas, counts = learned(50, 0.3)
    own = sigmas[3, 0, 0]
    assert sigma_of(sigmas, counts, classes_of(cell(5)), HERE, 30).item() == pytest.approx(3 * own)
    assert sigma_of(sigmas, counts, classes_of(cell(900)), HERE, 30).item() == pytest.approx(own)


def test_nothing_learned_is_an_infinite_sigma() -> None:
    sigmas, counts = learned(50, 0.3, rounds=29)
    assert np.isinf(sigma_of(sigmas, counts, classes_of(cell(50)), HERE, 30)).all()


def test_one_outlier_does_not_swell_sigma() -> None:
    sigmas, counts = learned(50, 0.3)
    before = sigmas[3, 0, 0].item()
    learn_sigma(sigmas, counts, classes_of(cell(50)), cell(1e6), cell(1), 0.001)
    assert sigmas[3, 0, 0] < 1.02 * before
