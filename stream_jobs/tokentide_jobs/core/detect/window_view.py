"""What detectors see of one window: every metric of every key, beside what was expected of it.

All arrays have a row a metric and a column a key of the state, in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.parameter_columns import Columns
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.pooling import Pooled, pool
from tokentide_jobs.core.detect.seasonal import Moment, expected, moment_of
from tokentide_jobs.core.detect.spread import sigma_of
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import (
    COST,
    LEVELS,
    METRICS,
    RATIOS,
    REQUESTS,
    to_scale,
)

__all__ = ["ClosedWindow", "WindowView", "look", "recent"]

_SEED_WORTH: Final = np.uint8(12)
"""Windows that the level, for want of better, is worth as the expectation of a new hour: a fault
in the first minutes of it is no normal to begin with."""

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """What was observed in one window that is closed.

    Keys that the detectors know and that are not here had no event: with complete data that is an
    observed zero of requests and of cost, and an absent value of everything else.
    """

    start_us: int
    keys: Sequence[str]
    values: NDArray[np.float64]
    """Metric, key; NaN: absent."""
    counts: NDArray[np.float64]
    """The n of each value."""
    is_complete: bool
    """Everything of this window has arrived; else requests and cost say nothing."""


@dataclass(frozen=True, slots=True)
class WindowView:
    """One window as arrays."""

    number: int
    """Windows since the epoch."""
    elapsed: int
    """Windows since the last one that was seen."""
    start_us: int
    moment: Moment
    last_moment: Moment
    """Of the last window that was seen."""
    values: NDArray[np.float64]
    """NaN: absent."""
    n: Floats
    present: Flags
    is_judgeable: Flags
    """Present, and old enough to be judged."""
    usual: Floats
    """The expectation, on the metric's scale."""
    is_seeded: Flags
    """This hour is seen for the first time: the expectation is the last level."""
    residual: Floats
    """Observed less expected; 0 where absent."""
    drawn: Floats
    """The residual, drawn to 0 where n is small."""
    shrunk: Floats
    """The expectation plus that."""
    levels: Pooled
    """The residuals of levels as their tests see them."""
    sigma: Floats
    """Usual size of those."""
    ratio: Floats
    """Usual ratio, for ratios."""


def look(
    state: DetectorState,
    window: ClosedWindow,
    number: int,
    elapsed: int,
    columns: Columns,
    parameters: Parameters,
) -> WindowView:
    """Put a window beside what is expected of it; new keys and first visits change the state."""
    values, n = _dense(state, window)
    present = ~np.isnan(values)
    scaled = to_scale(np.where(present, values, 0.0)).astype(np.float32)
    length_us = parameters.window_s * 1_000_000
    moment = moment_of(window.start_us, length_us)
    usual, is_seeded = _usual(state, scaled, n, present, moment, columns)
    residual = np.where(present, scaled - usual, np.float32(0))
    share = n / np.maximum(n + columns.shrink_n, 1)
    drawn = residual * np.where(columns.shrink_n > 0, share, np.float32(1))

    updates, first = state.array("updates")[0], state.array("first_window")[0]
    np.copyto(first, np.uint32(number), where=present & (updates == 0))
    np.copyto(state.array("seen_window")[0], np.uint32(number), where=n > 0)
    is_aged = number - first.astype(np.int64) >= parameters.windows(parameters.silent_s)
    levels = pool(state, residual[LEVELS], n[LEVELS], present[LEVELS], columns.pool_n)
    sigma = sigma_of(
        state.array("sigmas")[:, LEVELS],
        state.array("sigmas_seen")[:, LEVELS],
        levels.classes,
        levels.present,
        parameters.sigma_learned_n,
    )
    hits, observed = state.array("total")[0, RATIOS], state.array("observed")[0, RATIOS]
    ratio = (hits + columns.prior_hits) / (observed + columns.prior_n)
    return WindowView(
        number=number,
        elapsed=elapsed,
        start_us=window.start_us,
        moment=moment,
        last_moment=moment_of((number - elapsed) * length_us, length_us),
        values=values,
        n=n,
        present=present,
        is_judgeable=present & is_aged & (updates >= parameters.least_values),
        usual=usual,
        is_seeded=is_seeded,
        residual=residual,
        drawn=drawn,
        shrunk=usual + drawn,
        levels=levels,
        sigma=sigma,
        ratio=ratio.astype(np.float32, copy=False),
    )


def recent(state: DetectorState, n: Floats, columns: Columns) -> Floats:
    """Return where each metric stands: its running level, or over many small windows its mean.

    Args:
        state: What was learned.
        n: Of this window.
        columns: How many observations a window must hold to stand for itself.
    """
    standing: Floats = state.array("level")[0].copy()
    total, observed = state.array("total")[0, LEVELS], state.array("observed")[0, LEVELS]
    mean = total / np.maximum(observed, np.float32(1e-9))
    standing[LEVELS] = np.where(n[LEVELS] >= columns.pool_n, standing[LEVELS], mean)
    return standing


def _dense(state: DetectorState, window: ClosedWindow) -> tuple[NDArray[np.float64], Floats]:
    """Return values and n for every key that is known now, absent ones as NaN and 0."""
    places = state.places_of(window.keys)
    shape = (len(METRICS), len(state.keys))
    values, n = np.full(shape, np.nan), np.zeros(shape, np.float32)
    values[:, places] = window.values
    n[:, places] = window.counts
    np.clip(values[RATIOS], 0, 1, out=values[RATIOS])
    for count in (REQUESTS, COST):
        values[count] = np.nan_to_num(values[count]) if window.is_complete else np.nan
    return values, n


def _usual(
    state: DetectorState,
    scaled: Floats,
    n: Floats,
    present: Flags,
    moment: Moment,
    columns: Columns,
) -> tuple[Floats, Flags]:
    """Return what is expected now; a bucket seen for the first time begins at the level."""
    means, seen = state.array("season"), state.array("season_seen")
    usual, is_known = expected(means, seen, moment)
    is_seeded = present & ~is_known
    if is_seeded.any():
        has_level = state.array("updates")[0] > 0
        start = np.where(has_level, recent(state, n, columns), scaled)
        worth = np.full(start.shape, _SEED_WORTH)
        observed = state.array("observed")[0, LEVELS]
        worth[LEVELS] = np.clip(observed / np.maximum(columns.pool_n, 1), 1, _SEED_WORTH)
        np.copyto(means[moment.bucket], start, where=is_seeded)
        np.copyto(seen[moment.bucket], worth, where=is_seeded)
        usual = np.where(is_seeded, start, usual)
    return usual, is_seeded
