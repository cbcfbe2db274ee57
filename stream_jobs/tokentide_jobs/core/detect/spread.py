"""How far a level usually strays from its expectation, by the number of observations behind it.

Sigma is 1.253 times the running mean of |residual|, kept for eight classes of n, half a decade
each: a window of three requests is noisier than one of three thousand.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "classes_of", "learn_sigma", "sigma_of"]

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]

CLASSES: Final = 8
_BOUNDS: Final = np.array([10 ** (power / 2) for power in range(1, CLASSES)], np.float32)
_SMALLEST: Final = np.float32(1e-3)
_OTHER, _OWN = np.mgrid[:CLASSES, :CLASSES]
_RANK: Final = 2 * np.abs(_OTHER - _OWN) + (_OTHER > _OWN)
"""Which other class a class borrows from first: the nearest, of two the one of smaller n."""
_NONE: Final = 2 * CLASSES
_SCALE: Final = np.where(_OTHER > _OWN, 3.0 ** ((_OTHER - _OWN) / 2), 1.0).astype(np.float32)
"""What a borrowed sigma is multiplied with: the square root of 3 for each class of larger n."""
_FROM_MEAN: Final = np.float32(1.253)
"""Sigma of normal noise, of its mean absolute value."""
_WINSOR: Final = np.float32(5.0)
_MOST: Final = 255


def classes_of(n: Floats) -> Classes:
    """Return the class of each n: 0 up to 3, 7 from 3,162 on."""
    return np.searchsorted(_BOUNDS, n, side="right")


def sigma_of(
    sigmas: Floats,
    counts: NDArray[np.uint8],
    classes: Classes,
    present: NDArray[np.bool_],
    learned_n: int,
) -> Floats:
    """Return the sigma of each metric and key; infinite where no class is learned.

    A class that is not learned borrows from the nearest one that is; among equals, from the one of
    smaller n, whose sigma is the larger.

    Args:
        sigmas: Class, metric, key.
        counts: How often each was seen, saturating.
        classes: Metric, key.
        present: Where something was observed; elsewhere the answer does not matter.
        learned_n: How often a class must have been seen.
    """
    at = _cells(classes)
    sigma: Floats = sigmas[at]
    metrics, keys = np.nonzero(present & (counts[at] < learned_n))
    if metrics.size:
        own = classes[metrics, keys]
        is_learned = counts[:, metrics, keys] >= learned_n
        ranks = np.where(is_learned, _RANK[:, own], _NONE)
        nearest = ranks.argmin(axis=0)
        borrowed = sigmas[nearest, metrics, keys] * _SCALE[nearest, own]
        sigma[metrics, keys] = np.where(is_learned.any(axis=0), borrowed, np.float32(np.inf))
    return np.maximum(sigma, _SMALLEST)


def learn_sigma(
    sigmas: Floats,
    counts: NDArray[np.uint8],
    classes: Classes,
    residual: Floats,
    gain: Floats,
    rate: float,
) -> None:
    """Move the sigmas, in place, towards what the residuals show; a far outlier counts as 5 sigma.

    Args:
        sigmas: Class, metric, key.
        counts: How often each was seen, saturating.
        classes: The class of each metric and key in this window.
        residual: Observed less expected.
        gain: 0: nothing was observed; 1: learn as usual.
        rate: The smallest share of a residual.
    """
    at = _cells(classes)
    seen: NDArray[np.uint8] = counts[at]
    sigma: Floats = sigmas[at]
    size = np.abs(residual)
    is_known = seen >= 30
    size = np.where(is_known, np.minimum(size, _WINSOR * np.maximum(sigma, _SMALLEST)), size)
    seen = seen + ((gain > 0) & (seen < _MOST)).astype(np.uint8)
    share = np.float32(1) / np.maximum(seen, 1).astype(np.float32)
    share = np.where(seen < _MOST, np.maximum(share, np.float32(rate)), np.float32(rate))
    counts[at] = seen
    sigmas[at] = sigma + share * gain * (_FROM_MEAN * size - sigma)


def _cells(classes: Classes) -> tuple[Classes, Classes, Classes]:
    """Return the index of the class of each metric and key."""
    metrics, keys = classes.shape
    return classes, np.arange(metrics)[:, None], np.arange(keys)[None, :]
