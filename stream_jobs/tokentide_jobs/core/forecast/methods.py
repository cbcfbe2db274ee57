"""How the coming hours follow from the past ones: three methods, none of which wins everywhere.

A history is spend by hour, without gaps: an hour without a call is a zero. Each method returns one
value for each coming hour, so that a period may end anywhere.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "WEEK_HOURS", "Hours", "Method", "predict"]

Hours = NDArray[np.float64]
Method = Literal["last 7 days", "straight line", "weekday-seasonal"]

METHODS: Final[tuple[Method, ...]] = ("last 7 days", "straight line", "weekday-seasonal")
"""The first is what the others have to beat."""
WEEK_HOURS: Final = 168
_SEASON_WEEKS: Final = 4


def predict(method: Method, history: Hours, hours: int, elapsed: int) -> Hours:
    """Return the expected spend of each of the next `hours`.

    Args:
        method: How.
        history: Spend by hour up to now, at least one.
        hours: How many to predict.
        elapsed: Hours since the period began, at least one: what the straight line rests on.
    """
    if method == "straight line":
        return np.full(hours, history[-elapsed:].mean())
    level = history[-WEEK_HOURS:].mean()
    if method == "last 7 days":
        return np.full(hours, level)
    return _seasonal(history, hours, float(level))


def _seasonal(history: Hours, hours: int, level: float) -> Hours:
    """Return the mean of the same hours of the last weeks; the level where there were none."""
    past = history[-_SEASON_WEEKS * WEEK_HOURS :]
    # Hours are counted back from now: position 0 is the hour that begins now, a week ago.
    position = np.arange(-len(past), 0) % WEEK_HOURS
    sums = np.bincount(position, past, WEEK_HOURS)
    counts = np.bincount(position, minlength=WEEK_HOURS)
    profile = np.where(counts > 0, sums / np.maximum(counts, 1), level)
    return profile[np.arange(hours) % WEEK_HOURS]
