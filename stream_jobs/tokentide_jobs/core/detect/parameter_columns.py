"""The parameters of metrics as columns, one row a metric, to be used beside arrays of keys."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.cusum import DOWN, UP
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import LEVELS, METRICS, RATIOS, REQUESTS

__all__ = ["Columns"]

Floats = NDArray[np.float32]


class Columns:
    """Columns of float32: those of levels have their rows, those of ratios theirs."""

    def __init__(self, parameters: Parameters) -> None:
        levels = [parameters.levels[metric.name] for metric in METRICS[LEVELS]]
        ratios = [parameters.ratios[metric.name] for metric in METRICS[RATIOS]]
        self.dead_zone = _column(level.dead_zone for level in levels)
        self.least_effect = _column(level.least_effect for level in levels)
        self.learning = _column(level.learning for level in levels)
        self.pool_n = _column(level.pool_n for level in levels)
        self.gate_effect = _column(level.gate_effect for level in levels if level.gate_effect)
        shrink_n = [*(one.shrink_n for one in levels), *(one.shrink_n for one in ratios), 0]
        self.gate_margin = _column(level.gate_margin for level in levels if level.gate_effect)
        self.shrink_n = _column(shrink_n)
        """Of every metric; 0: not drawn to the expectation."""
        self.prior_n = _column(ratio.prior_n for ratio in ratios)
        self.prior_hits = _column(ratio.prior_n * ratio.prior_ratio for ratio in ratios)
        self.evidence_per_n = _column(ratio.evidence_per_n for ratio in ratios)
        self.thresholds = _thresholds(parameters)
        """Test, metric, 1; infinite where a metric has no such test."""


def _column(values: Iterable[float]) -> Floats:
    return np.array(list(values), np.float32).reshape(-1, 1)


def _thresholds(parameters: Parameters) -> Floats:
    thresholds = np.full((2, len(METRICS), 1), np.inf, np.float32)
    for place, metric in enumerate(METRICS[LEVELS]):
        direction = parameters.levels[metric.name].direction
        if direction != "down":
            thresholds[UP, place] = parameters.level_threshold
        if direction != "up":
            thresholds[DOWN, place] = parameters.level_threshold
    for place, metric in enumerate(METRICS[RATIOS], RATIOS.start):
        if parameters.ratios[metric.name].direction == "rise":
            thresholds[UP, place] = parameters.ratio_threshold
            thresholds[DOWN, place] = parameters.severe_threshold
        else:
            thresholds[DOWN, place] = parameters.ratio_threshold
    thresholds[:, REQUESTS] = parameters.ratio_threshold
    return thresholds
