"""Reads histograms as the SQL functions do, for comparison with exact figures."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tokentide_jobs.core.window.histogram import GAMMA, ZERO_BUCKET


def representative(bucket: int) -> float:
    """Return the value a bucket stands for: within one per cent of any value in it."""
    return 0.0 if bucket == ZERO_BUCKET else 2 * GAMMA**bucket / (GAMMA + 1)


def quantile(histogram: Mapping[int, int], q: float) -> float | None:
    """Return the value of rank ceil(q * n), as the SQL function quantile_from_hist does.

    Args:
        histogram: Bucket -> count.
        q: Between 0 and 1.

    Returns:
        None for an empty histogram.
    """
    total = sum(histogram.values())
    rank = max(1, math.ceil(q * total - 1e-9))
    for bucket in sorted(histogram):
        rank -= histogram[bucket]
        if rank <= 0:
            return representative(bucket)
    return None
