"""Quantiles of many histograms at once: all keys of a window in one pass over their buckets.

The same answer as the SQL functions give: the representative of the bucket that holds the value of
rank ceil(q n), within one per cent of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.window.histogram import GAMMA, ZERO_BUCKET

__all__ = ["quantile", "representative"]

_ROUNDING: Final = 1e-9
"""q n may come out a rounding error above a whole number."""


def representative(buckets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the value that each bucket stands for."""
    values = 2 * GAMMA ** np.maximum(buckets, -10_000).astype(np.float64) / (GAMMA + 1)
    return np.where(buckets == ZERO_BUCKET, 0.0, values)


def quantile(
    rows: NDArray[np.int64],
    buckets: NDArray[np.int64],
    counts: NDArray[np.int64],
    size: int,
    q: float,
) -> NDArray[np.float64]:
    """Return one quantile a row.

    Args:
        rows: The histogram of every entry, in [0, size).
        buckets: Its bucket; a row may name a bucket more than once.
        counts: How many values it holds.
        size: Number of histograms.
        q: Between 0 and 1.

    Returns:
        The quantile of each row, NaN for a row without values.
    """
    order = np.lexsort((buckets, rows))
    reached = np.cumsum(counts[order])
    totals = np.bincount(rows, weights=counts, minlength=size).astype(np.int64)
    before = np.cumsum(totals) - totals
    ranks = np.maximum(1, np.ceil(q * totals - _ROUNDING).astype(np.int64))
    places = np.searchsorted(reached, before + ranks)
    is_filled = totals > 0
    values = np.full(size, np.nan)
    values[is_filled] = representative(buckets[order][places[is_filled]])
    return values
