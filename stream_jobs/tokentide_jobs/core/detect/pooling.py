"""Few observations, put together: a test of a level waits until its windows hold enough of them.

The mean of one answer is skewed, its scores are extreme; ten of them behave. Residuals are pooled,
weighted by n, so that a season may move between the first window and the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.spread import classes_of
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import LEVELS

__all__ = ["Pooled", "pool"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pooled:
    """What the tests of levels see: level, key."""

    residual: Floats
    present: NDArray[np.bool_]
    """Where a pool is full, or a window stands alone."""
    n: Floats
    """The observations behind it."""
    classes: NDArray[np.int64]
    """Of n."""


def pool(
    state: DetectorState,
    residual: Floats,
    n: Floats,
    present: NDArray[np.bool_],
    pool_n: Floats,
) -> Pooled:
    """Add one window to the pools, in place, and return those that are full, which are emptied."""
    sum_n = state.array("pooled_n")[0, LEVELS]
    sum_residual = state.array("pooled_residual")[0, LEVELS]
    sum_n += np.where(present, n, np.float32(0))
    sum_residual += np.where(present, n * residual, np.float32(0))
    is_alone = pool_n == 0
    is_full = present & (is_alone | (sum_n >= pool_n))
    weighted = sum_residual / np.maximum(sum_n, np.float32(1))
    pooled = np.where(is_alone, residual, np.where(is_full, weighted, np.float32(0)))
    pooled_n = np.where(is_alone, n, sum_n)
    np.copyto(sum_n, np.float32(0), where=is_full)
    np.copyto(sum_residual, np.float32(0), where=is_full)
    return Pooled(pooled, is_full, pooled_n, classes_of(pooled_n))
