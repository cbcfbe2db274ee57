"""Windows of few observations wait for each other; the others stand alone."""

from __future__ import annotations

import numpy as np
import pytest

from tokentide_jobs.core.detect.pooling import pool
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import LEVELS

SHAPE = (LEVELS.stop, 1)


def test_a_pool_is_full_at_its_n_and_gives_the_weighted_mean() -> None:
    state = DetectorState()
    state.places_of(["a"])
    pool_n = np.full((LEVELS.stop, 1), 10, np.float32)
    pool_n[3] = 0
    present = np.ones(SHAPE, np.bool_)
    first = pool(
        state, np.full(SHAPE, 1, np.float32), np.full(SHAPE, 4, np.float32), present, pool_n
    )
    assert first.present[:, 0].tolist() == [place == 3 for place in range(LEVELS.stop)]
    assert first.residual[3, 0] == 1
    absent = pool(
        state, np.full(SHAPE, 9, np.float32), np.full(SHAPE, 9, np.float32), ~present, pool_n
    )
    assert not absent.present.any()
    full = pool(
        state, np.full(SHAPE, 4, np.float32), np.full(SHAPE, 8, np.float32), present, pool_n
    )
    assert full.present.all()
    assert full.residual[0, 0] == pytest.approx((4 * 1 + 8 * 4) / 12)
    assert full.n[0, 0] == 12
    assert full.n[3, 0] == 8
    again = pool(
        state, np.full(SHAPE, 1, np.float32), np.full(SHAPE, 4, np.float32), present, pool_n
    )
    assert not again.present[0, 0]
