"""The CUSUM of levels: small differences in one direction add up, those inside a dead zone never.

What misleads such sums is autocorrelation and not noise: a dead zone of practical size removes it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.parameters import Parameters

__all__ = ["DOWN", "UP", "add_level_evidence"]

Floats = NDArray[np.float32]

UP: Final = 0
DOWN: Final = 1
"""The two tests of a metric. A ratio that rises has `rise` and `severe` here, one that drops only
`drop`; requests have `rise` and `drop`."""
_CAP: Final = 4
"""Evidence never exceeds this many thresholds, so that an alarm can end."""


def add_level_evidence(
    evidence: Floats,
    residual: Floats,
    sigma: Floats,
    dead_zone: Floats,
    present: NDArray[np.bool_],
    parameters: Parameters,
) -> None:
    """Add one window to the evidence for `up` and `down`, in place.

    Args:
        evidence: Test, metric, key.
        residual: Observed less expected.
        sigma: Usual size of the residual.
        dead_zone: By metric.
        present: Where something was observed.
        parameters: Drift, largest step, threshold.
    """
    beyond = np.maximum(np.abs(residual) - dead_zone, np.float32(0)) / sigma
    step = np.copysign(np.minimum(beyond, np.float32(parameters.largest_step)), residual)
    cap = np.float32(_CAP * parameters.level_threshold)
    drift = np.float32(parameters.drift)
    for test, signed in ((UP, step), (DOWN, -step)):
        grown = np.minimum(np.maximum(evidence[test] + signed - drift, np.float32(0)), cap)
        np.copyto(evidence[test], grown, where=present)
