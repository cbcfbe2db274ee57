"""Which stored windows give the spend of a budget: hours where they do, minutes where hours cannot.

A period begins at the midnight of its zone, which need not be a full hour of UTC: the hour around
its edge is read in minutes. So are the last hours, for burn rates, and days and hours as a whole,
which shows the minute at which a threshold was reached. Every instant is read in one grain only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.tables import HOUR_US
from tokentide_jobs.core.window.stored_ranges import StoredRanges

__all__ = ["HISTORY_US", "WindowSpend", "reads_of"]

HISTORY_US: Final = 56 * 24 * HOUR_US
"""What a forecast looks back on: eight weeks."""
_FINE_US: Final = 7 * HOUR_US
"""Longer than the longest stretch of a burn rate that is no multiple of hours."""


@dataclass(frozen=True, slots=True)
class WindowSpend:
    """What the requests of one stored window cost, in one scope."""

    start_us: int
    end_us: int
    pico_usd: int
    requests: int
    unpriced: int


def reads_of(budget: Budget, now_us: int) -> StoredRanges:
    """Return what to read for the present period of a budget, the one before, and its history."""
    period = budget.at(now_us)
    before = budget.before(period)
    if budget.period in ("hour", "day"):
        return StoredRanges((), ((before.start_us, period.end_us),))
    fine_from_us = (now_us - _FINE_US) // HOUR_US * HOUR_US
    history_from_us = min(before.start_us, now_us - HISTORY_US) // HOUR_US * HOUR_US
    hours: list[tuple[int, int]] = []
    minutes: list[tuple[int, int]] = []
    begin_us = history_from_us
    for edge_us in (before.start_us, period.start_us):
        hour_us = edge_us // HOUR_US * HOUR_US
        if hour_us < edge_us and hour_us < fine_from_us:
            hours.append((begin_us, hour_us))
            minutes.append((hour_us, hour_us + HOUR_US))
            begin_us = hour_us + HOUR_US
    hours.append((begin_us, fine_from_us))
    minutes.append((fine_from_us, period.end_us))
    return StoredRanges(tuple(one for one in hours if one[0] < one[1]), tuple(minutes))
