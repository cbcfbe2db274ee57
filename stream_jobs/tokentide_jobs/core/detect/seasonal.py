"""What is expected at an hour of the day: means of buckets, learned one window at a time.

48 buckets: the hours of weekdays and those of weekends, in UTC. Between the centres of hours the
expectation is interpolated, so that a morning ramp is no surprise every hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.running import move
from tokentide_jobs.core.tables import HOUR_US

__all__ = ["Moment", "expected", "learn", "moment_of"]

Floats = NDArray[np.float32]
Counts = NDArray[np.uint8]

_MOST: Final = 255
"""Counts stay here: what is learned so often has its usual rate."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a window lies in the day and the week."""

    hour: int
    bucket: int
    neighbour: int
    """The bucket of the nearer adjacent hour."""
    weight: float
    """Of the neighbour: 0 at the centre of the hour, one half at its edges."""


def moment_of(start_us: int, length_us: int) -> Moment:
    """Return the moment of a window by its middle."""
    middle_us = start_us + length_us // 2
    hours, rest_us = divmod(middle_us, HOUR_US)
    offset = rest_us / HOUR_US - 0.5
    return Moment(
        hour=hours % 24,
        bucket=_bucket(hours),
        neighbour=_bucket(hours + (1 if offset > 0 else -1)),
        weight=abs(offset),
    )


def _bucket(hours: int) -> int:
    """Return the bucket of an hour since the epoch, which began on a Thursday."""
    is_weekend = (hours // 24 + 3) % 7 >= 5
    return hours % 24 + 24 * is_weekend


def expected(means: Floats, counts: Counts, moment: Moment) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the expectation of every metric and key, and where its bucket was seen before."""
    main = means[moment.bucket]
    blended = main + np.float32(moment.weight) * (means[moment.neighbour] - main)
    return (
        np.where(counts[moment.neighbour] > 0, blended, main),
        counts[moment.bucket] > 0,
    )


def learn(
    means: Floats, counts: Counts, surprise: Floats, gain: Floats, rate: float | Floats
) -> None:
    """Move means, in place, by a share of the surprise: 1/count at first, `rate` later.

    Args:
        means: Of one bucket, every metric and key.
        counts: How often the bucket was seen, saturating.
        surprise: What was observed less what was expected.
        gain: 0: nothing was observed; 1: learn as usual; between: learn less.
        rate: The smallest share.
    """
    np.add(counts, 1, out=counts, where=(gain > 0) & (counts < _MOST), casting="unsafe")
    share = np.float32(1) / np.maximum(counts, 1).astype(np.float32)
    slow = np.asarray(rate, np.float32)
    share = np.where(counts < _MOST, np.maximum(share, slow), slow)
    move(means, surprise, share * gain)
