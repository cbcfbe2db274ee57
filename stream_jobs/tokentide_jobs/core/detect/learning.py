"""What a window teaches once it is judged: seasons, hours, sigmas and ratios.

Surprises are bounded, an open alarm teaches a tenth, and an alarm that lasted a day teaches that
its level is the new normal.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.llr import usual_requests
from tokentide_jobs.core.detect.parameter_columns import Columns
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.running import SMALLEST
from tokentide_jobs.core.detect.seasonal import learn
from tokentide_jobs.core.detect.spread import learn_sigma
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import LEVELS, METRICS, RATIOS, REQUESTS, to_value
from tokentide_jobs.core.detect.window_view import WindowView, recent

__all__ = ["adopt", "learn_window"]

Floats = NDArray[np.float32]

MEMORY_POOLS: Final = np.float32(10)
"""Pools of observations that the running mean of a level remembers."""
_COUNTS: Final = slice(RATIOS.start, REQUESTS + 1)
"""Ratios, and requests last."""


def learn_window(
    state: DetectorState, view: WindowView, columns: Columns, parameters: Parameters
) -> None:
    """Learn one window, in place."""
    is_open = state.array("is_open").any(axis=0)
    learning_rate = np.where(is_open, np.float32(parameters.open_learning), np.float32(1))
    gain = learning_rate * view.present
    _learn_levels(state, view, learning_rate[LEVELS], columns, parameters)
    _learn_counts(state, view, gain[_COUNTS], parameters)
    hours = state.array("hours")[view.moment.hour]
    learn(
        hours,
        state.array("hours_seen")[view.moment.hour],
        view.shrunk - hours,
        gain,
        parameters.per_window(parameters.hour_rate),
    )
    ratios = np.nan_to_num(view.values[RATIOS]).astype(np.float32)
    n = gain[RATIOS] * view.n[RATIOS]
    _follow(state, RATIOS, n, ratios, np.float32(parameters.ratio_memory_n))
    updates = state.array("updates")[0]
    updates += view.present


def _learn_levels(
    state: DetectorState,
    view: WindowView,
    learning_rate: Floats,
    columns: Columns,
    parameters: Parameters,
) -> None:
    """Learn seasons and sigmas of levels.

    Small windows are put together here, too, but never across the end of an hour: what an hour's
    windows show belongs to its own bucket. Learned from a pool of several hours, errors of one
    bucket would move into the next and grow from day to day.
    """
    n, residual = state.array("hour_n")[0, LEVELS], state.array("hour_residual")[0, LEVELS]
    most = np.float32(parameters.winsor_sigmas) * view.sigma
    is_alone = columns.pool_n == 0
    pool_n = np.where(is_alone, np.float32(1), columns.pool_n)
    rate = np.float32(parameters.per_window(parameters.season_rate)) * columns.learning
    means, seen = state.array("season")[:, LEVELS], state.array("season_seen")[:, LEVELS]

    def empty(bucket: int, is_due: NDArray[np.bool_]) -> None:
        # Few observations stray further, and a mean cut too soon is biased.
        fewer = np.sqrt(np.maximum(pool_n / np.maximum(n, np.float32(1)), np.float32(1)))
        mean = residual / np.maximum(n, np.float32(1))
        surprise = np.clip(mean, -most * fewer, most * fewer)
        learn(means[bucket], seen[bucket], surprise, learning_rate * is_due, rate)
        np.copyto(n, np.float32(0), where=is_due)
        np.copyto(residual, np.float32(0), where=is_due)

    if view.last_moment.bucket != view.moment.bucket:
        empty(view.last_moment.bucket, n > 0)
    observed = view.n[LEVELS] * view.present[LEVELS]
    _follow(state, LEVELS, observed, (view.usual + view.residual)[LEVELS], MEMORY_POOLS * pool_n)
    weight = np.where(is_alone, np.float32(1), view.n[LEVELS]) * view.present[LEVELS]
    n += weight
    residual += weight * view.residual[LEVELS]
    empty(view.moment.bucket, (n > 0) & (is_alone | (n >= pool_n)))
    learn_sigma(
        state.array("sigmas")[:, LEVELS],
        state.array("sigmas_seen")[:, LEVELS],
        view.levels.classes,
        view.levels.residual,
        learning_rate * view.levels.present,
        parameters.per_window(parameters.sigma_rate),
    )


def _learn_counts(
    state: DetectorState, view: WindowView, gain: Floats, parameters: Parameters
) -> None:
    """Learn seasons of ratios and requests; a burst of requests counts as five times the usual."""
    surprise = view.drawn[_COUNTS].copy()
    floor = METRICS[REQUESTS].floor
    per_minute = usual_requests(view.usual[REQUESTS], floor)
    ceiling = np.log(5 * per_minute + np.float32(5 + floor)) - view.usual[REQUESTS]
    surprise[-1] = np.minimum(view.residual[REQUESTS], ceiling)
    bucket = view.moment.bucket
    learn(
        state.array("season")[bucket, _COUNTS],
        state.array("season_seen")[bucket, _COUNTS],
        surprise,
        gain,
        parameters.per_window(parameters.season_rate),
    )


def _follow(
    state: DetectorState, rows: slice, n: Floats, values: Floats, memory_n: Floats | np.float32
) -> None:
    """Keep the sums behind a running mean, in place, over the last `memory_n` observations."""
    total, observed = state.array("total")[0, rows], state.array("observed")[0, rows]
    total += n * values
    observed += n
    kept = np.minimum(memory_n / np.maximum(observed, 1), np.float32(1))
    total *= kept
    np.copyto(total, np.float32(0), where=np.abs(total) < SMALLEST)
    observed *= kept


def adopt(
    state: DetectorState, view: WindowView, adopted: NDArray[np.bool_], columns: Columns
) -> None:
    """Take the present level of metrics whose alarm has lasted a day for the new normal, in place.

    Args:
        state: What is learned.
        view: The window.
        adopted: Test, metric, key.
        columns: Observations that an adopted ratio is worth.
    """
    for place, key in {(int(m), int(k)) for _test, m, k in np.argwhere(adopted)}:
        level = recent(state, view.n, columns)[place, key]
        shift = level - view.usual[place, key]
        state.array("season")[:, place, key] += shift
        state.array("hours")[:, place, key] += shift
        state.array("evidence")[:, place, key] = 0
        for bound in ("low", "high"):
            wider = state.array(f"wider_{bound}")[:, place, key]
            state.array(f"gate_{bound}")[:, place, key] = wider
        if RATIOS.start <= place < RATIOS.stop:
            n = columns.prior_n[place - RATIOS.start, 0]
            state.array("observed")[0, place, key] = n
            state.array("total")[0, place, key] = n * to_value(place, float(level))
