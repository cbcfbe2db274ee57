"""Tier A over one series of numbers, row by row: what the Numenta Anomaly Benchmark asks of us.

The detectors are those of the detect job. Scores are compared as they are, without a logarithm, so
the series is given to them as one. Nothing of a row that is still to come is known, its range
included.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np

from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import METRICS, metric_at
from tokentide_jobs.core.detect.window_view import ClosedWindow

__all__ = ["ROW_S", "SeriesScores"]

ROW_S: Final = 300
"""Most files have a row every five minutes; rates of learning are scaled to that."""
_METRIC: Final = metric_at("quality_score")
_ENOUGH: Final = 1e6
"""Observations behind a value: it is taken as it is."""
_DECAYS: Final = 10.0


class SeriesScores:
    """The detectors of one series, which report as soon as they have learned a hundred values."""

    def __init__(self) -> None:
        parameters = dataclasses.replace(Parameters(), window_s=ROW_S, silent_s=0, learning_s=0)
        self._detectors = Detectors(parameters)
        self._row = 0
        self._values = np.full((len(METRICS), 1), np.nan)
        self._counts = np.zeros((len(METRICS), 1))
        self._counts[_METRIC] = _ENOUGH

    def score(self, at_us: int, value: float) -> float:
        """Return how new the next value is, from 0 to 1.

        Args:
            at_us: Its time. One that is not newer than the last, or comes sooner than a row
                should, is put into the next row: no value is left out.
            value: As it was measured.
        """
        self._row = max(self._row + 1, at_us // (ROW_S * 1_000_000))
        self._values[_METRIC] = value
        window = ClosedWindow(
            self._row * ROW_S * 1_000_000, ("series",), self._values, self._counts, False
        )
        judged = self._detectors.judge(window)
        extreme = max((one.score for one in judged.extremes), default=0.0)
        return 1 - math.exp(-extreme / _DECAYS)
