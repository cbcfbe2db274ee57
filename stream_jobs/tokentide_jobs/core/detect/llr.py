"""Log-likelihood-ratio CUSUMs of counts: requests as Poisson, errors and hits as binomial.

They know n: a window of two requests adds little, a hundred of them add up, so that quiet keys
need no minimum volume. Steps are bounded: no single window opens an alarm.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.cusum import DOWN, UP
from tokentide_jobs.core.detect.parameters import Parameters

__all__ = [
    "add_drop_evidence",
    "add_request_evidence",
    "add_rise_evidence",
    "dropped_from",
    "risen_from",
    "usual_requests",
]

Floats = NDArray[np.float32]

DROP_NULL: Final = 0.45
DROP_ALTERNATIVE: Final = 0.1
RISE_NULL: Final = 2.0
RISE_ALTERNATIVE: Final = 5.0
"""Multiples of the expected requests between which the two tests of traffic decide."""
_LEAST_REQUESTS: Final = np.float32(0.02)
_CAP: Final = 3
_LEAST_RATIO: Final = np.float32(1e-4)
_DROP_FROM: Final = np.float32(0.2)
"""A ratio below this has no drop worth a test."""


def usual_requests(expected_log: Floats, floor: float) -> Floats:
    """Return the expected number of requests in a window from its logarithm, floor taken off."""
    return np.maximum(np.exp(expected_log) - np.float32(floor), _LEAST_REQUESTS)


def add_request_evidence(
    evidence: Floats,
    requests: Floats,
    usual: Floats,
    present: NDArray[np.bool_],
    parameters: Parameters,
) -> None:
    """Add one window to the evidence for more and for fewer requests, in place."""
    higher = np.float32(RISE_ALTERNATIVE) * usual + np.float32(0.5)
    lower = np.float32(RISE_NULL) * usual
    rise = requests * np.log(higher / lower) - (higher - lower)
    drop = requests * np.float32(np.log(DROP_ALTERNATIVE / DROP_NULL)) - usual * np.float32(
        DROP_ALTERNATIVE - DROP_NULL
    )
    _accumulate(evidence[UP], rise, parameters.ratio_threshold, present)
    _accumulate(evidence[DOWN], drop, parameters.ratio_threshold, present)


def risen_from(ratio: Floats) -> Floats:
    """Return the ratio up to which a rise is none: the null hypothesis of `rise`."""
    return np.minimum(np.float32(2.5) * np.maximum(ratio, _LEAST_RATIO), np.float32(0.6))


def dropped_from(ratio: Floats) -> Floats:
    """Return the ratio down to which a drop is none: the null hypothesis of `drop`."""
    return np.float32(0.75) * ratio


def add_rise_evidence(
    evidence: Floats,
    hits: Floats,
    n: Floats,
    ratio: Floats,
    present: NDArray[np.bool_],
    parameters: Parameters,
) -> None:
    """Add one window to the evidence for a risen and for a severely risen ratio, in place.

    Args:
        evidence: Test, metric, key; the second test is the severe one.
        hits: How many of the n.
        n: Observations.
        ratio: The usual ratio.
        present: Where there was an observation.
        parameters: Thresholds.
    """
    usual = np.maximum(ratio, _LEAST_RATIO)
    high = np.minimum(np.maximum(8 * usual, usual + np.float32(0.05)), np.float32(0.95))
    rise = _binomial(hits, n, risen_from(ratio), high)
    base = 3 * usual + np.float32(0.01)
    is_apart = base < np.float32(0.3)
    severe = _binomial(hits, n, np.where(is_apart, base, np.float32(0.3)), np.float32(0.40))
    _accumulate(evidence[UP], rise, parameters.ratio_threshold, present)
    _accumulate(evidence[DOWN], severe, parameters.severe_threshold, present & is_apart)


def add_drop_evidence(
    evidence: Floats,
    hits: Floats,
    n: Floats,
    ratio: Floats,
    present: NDArray[np.bool_],
    parameters: Parameters,
) -> None:
    """Add one window to the evidence for a fallen ratio, in place; arguments as for a rise."""
    usual = np.maximum(ratio, _DROP_FROM)
    low = np.maximum(
        np.minimum(np.float32(0.4) * usual, usual - np.float32(0.15)), np.float32(0.01)
    )
    drop = _binomial(hits, n, dropped_from(usual), low)
    is_used = present & (ratio >= _DROP_FROM)
    _accumulate(evidence[DOWN], drop, parameters.ratio_threshold, is_used)


def _binomial(hits: Floats, n: Floats, null: Floats, other: Floats | np.float32) -> Floats:
    ratio: Floats = hits * np.log(other / null) + (n - hits) * np.log((1 - other) / (1 - null))
    return ratio


def _accumulate(
    evidence: Floats, step: Floats, threshold: float, present: NDArray[np.bool_]
) -> None:
    """Add bounded steps: at least three windows open an alarm, at least two end one."""
    lowest, highest = np.float32(-threshold / 2), np.float32(threshold / 2.5)
    grown = evidence + np.minimum(np.maximum(step, lowest), highest)
    grown = np.minimum(np.maximum(grown, np.float32(0)), np.float32(_CAP * threshold))
    np.copyto(evidence, grown, where=present)
