"""The two tiers over one window: new extremes (A), and evidence for alarms (B).

Tier A compares four smoothings of each metric with their envelopes. Tier B adds the window to the
sums of its tests; levels, ratios and requests each have their own.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.cusum import DOWN, UP, add_level_evidence
from tokentide_jobs.core.detect.envelope import announce, excess, widen
from tokentide_jobs.core.detect.llr import (
    add_drop_evidence,
    add_request_evidence,
    add_rise_evidence,
    usual_requests,
)
from tokentide_jobs.core.detect.parameter_columns import Columns
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.running import SMALLEST, move
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import GATED, LEVELS, METRICS, RATIOS, REQUESTS
from tokentide_jobs.core.detect.window_view import WindowView

__all__ = ["add_evidence", "allowed", "extremes", "follow_levels"]

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_RATES: Final = (
    ("level", np.float32(0.08)),
    ("macd_fast", np.float32(0.10)),
    ("macd_slow", np.float32(0.01)),
)
"""Of the running levels, a window; they set the speed of reaction and are not rescaled."""
_DROPPING: Final = slice(RATIOS.stop - 1, RATIOS.stop)
_RISING: Final = slice(RATIOS.start, RATIOS.stop - 1)


def follow_levels(state: DetectorState, view: WindowView) -> None:
    """Move the running levels, in place; at first they are plain means."""
    share = np.float32(1) / (state.array("updates")[0] + np.float32(1))
    for name, rate in _RATES:
        level = state.array(name)[0]
        move(level, view.shrunk - level, np.maximum(share, rate) * view.present)


def extremes(
    state: DetectorState, view: WindowView, keep: Floats, parameters: Parameters
) -> Floats:
    """Return the score of tier A, 0 where nothing is new, and learn the bounds in place."""
    hour = view.moment.hour
    is_known = view.present & ~view.is_seeded
    difference = state.array("macd_fast")[0] - state.array("macd_slow")[0]
    streams = np.stack(
        [
            view.shrunk - state.array("hours")[hour],
            state.array("level")[0],
            difference,
            view.drawn,
        ]
    )
    streams[0, ~(is_known & (state.array("hours_seen")[hour] > 0))] = np.nan
    streams[1:, ~is_known] = np.nan
    low, high = state.array("low"), state.array("high")
    score = np.where(
        view.is_judgeable, excess(streams, low, high, parameters.sensitivity), np.float32(0)
    )
    widen(streams, low, high, keep)
    throttle, refractory = state.array("throttle")[0], state.array("refractory")[0]
    throttle *= np.float32(parameters.keep(parameters.throttle_half_life_s) ** view.elapsed)
    refractory *= np.float32(parameters.keep(parameters.refractory_half_life_s) ** view.elapsed)
    for decaying in (throttle, refractory):
        np.copyto(decaying, np.float32(0), where=decaying < SMALLEST)
    return announce(score, throttle, refractory)


def add_evidence(
    state: DetectorState, view: WindowView, columns: Columns, parameters: Parameters
) -> None:
    """Add one window to the evidence of every test, in place."""
    evidence = state.array("evidence")
    values, present = np.nan_to_num(view.values).astype(np.float32), view.present
    add_level_evidence(
        evidence[:, LEVELS], view.levels.residual, view.sigma, columns.dead_zone,
        view.levels.present, parameters,
    )  # fmt: skip
    n = view.n[RATIOS] * columns.evidence_per_n
    hits = values[RATIOS] * n
    add_rise_evidence(
        evidence[:, _RISING], hits[:-1], n[:-1], view.ratio[:-1], present[_RISING], parameters
    )
    add_drop_evidence(
        evidence[:, _DROPPING], hits[-1:], n[-1:], view.ratio[-1:], present[_DROPPING], parameters
    )
    minutes = np.float32(parameters.window_s / 60)
    usual = usual_requests(view.usual[REQUESTS], METRICS[REQUESTS].floor)
    add_request_evidence(
        evidence[:, REQUESTS], values[REQUESTS] * minutes, usual * minutes, present[REQUESTS],
        parameters,
    )  # fmt: skip


def allowed(view: WindowView, gate: Flags, columns: Columns) -> Flags:
    """Return where an alarm may open: test, metric, key."""
    may = np.stack([view.is_judgeable, view.is_judgeable])
    levels = view.levels
    may[UP, LEVELS] &= levels.present & (levels.residual > columns.least_effect)
    may[DOWN, LEVELS] &= levels.present & (levels.residual < -columns.least_effect)
    may[:, GATED] &= gate
    return may
