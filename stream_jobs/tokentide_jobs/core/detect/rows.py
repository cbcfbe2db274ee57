"""From arrays to rows: only what changed in a window becomes an object."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.alarms import AlarmChange, Change, Extreme, name_of_test
from tokentide_jobs.core.detect.decision import Changes
from tokentide_jobs.core.detect.llr import (
    DROP_NULL,
    RISE_NULL,
    dropped_from,
    risen_from,
    usual_requests,
)
from tokentide_jobs.core.detect.parameter_columns import Columns
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import LEVELS, METRICS, RATIOS, REQUESTS, to_value
from tokentide_jobs.core.detect.window_view import WindowView

__all__ = ["alarm_changes", "new_extremes"]


def alarm_changes(
    state: DetectorState,
    view: WindowView,
    changes: Changes,
    columns: Columns,
    parameters: Parameters,
) -> Iterator[AlarmChange]:
    """Yield the alarms that opened or ended, with everything that explains them."""
    length_us = parameters.window_s * 1_000_000
    kinds: tuple[tuple[Change, NDArray[np.bool_]], ...] = (
        ("opened", changes.opened),
        ("closed", changes.closed),
        ("adopted", changes.adopted),
    )
    for change, flags in kinds:
        for test, place, key in np.argwhere(flags).tolist():
            expected, lower, upper = _band(view, place, key, columns)
            opened = int(state.array("opened_window")[test, place, key])
            onset = int(state.array("onset_window")[test, place, key])
            first = int(state.array("first_window")[0, place, key])
            yield AlarmChange(
                change=change,
                key=state.keys[key],
                metric=METRICS[place].name,
                test=name_of_test(METRICS[place].name, test),
                window_start_us=view.start_us,
                value=_value(view, place, key),
                expected=expected,
                lower=lower,
                upper=upper,
                n=float((view.levels.n if place < LEVELS.stop else view.n)[place, key]),
                evidence=float(state.array("evidence")[test, place, key]),
                threshold=float(columns.thresholds[test, place, 0]),
                onset_us=min(onset or opened, opened) * length_us,
                opened_us=opened * length_us,
                is_young=view.number - first < parameters.windows(parameters.learning_s),
            )


def new_extremes(
    state: DetectorState, view: WindowView, scores: NDArray[np.float32]
) -> Iterator[Extreme]:
    """Yield what tier A announces."""
    for place, key in np.argwhere(scores >= 1).tolist():
        yield Extreme(
            key=state.keys[key],
            metric=METRICS[place].name,
            window_start_us=view.start_us,
            value=float(view.values[place, key]),
            expected=to_value(place, float(view.usual[place, key])),
            score=float(scores[place, key]),
        )


def _value(view: WindowView, place: int, key: int) -> float:
    """Return what the test saw: of a level, the mean of the windows that were put together."""
    if place < LEVELS.stop and view.levels.present[place, key]:
        residual = float(view.levels.residual[place, key])
        return to_value(place, float(view.usual[place, key]) + residual)
    return float(view.values[place, key])


def _band(view: WindowView, place: int, key: int, columns: Columns) -> tuple[float, float, float]:
    """Return what was expected, and the band in which the tests of the metric see nothing."""
    usual = float(view.usual[place, key])
    if place == REQUESTS:
        scaled = view.usual[place, key : key + 1]
        expected = float(usual_requests(scaled, METRICS[REQUESTS].floor)[0])
        return expected, DROP_NULL * expected, RISE_NULL * expected
    if RATIOS.start <= place < RATIOS.stop:
        ratio = view.ratio[place - RATIOS.start, key : key + 1]
        if METRICS[place].name == "cache_hit_ratio":
            return float(ratio[0]), float(dropped_from(ratio)[0]), np.inf
        return float(ratio[0]), 0.0, float(risen_from(ratio)[0])
    margin = float(columns.dead_zone[place, 0]) + 3 * float(view.sigma[place, key])
    below, above = to_value(place, usual - margin), to_value(place, usual + margin)
    return to_value(place, usual), below, above
