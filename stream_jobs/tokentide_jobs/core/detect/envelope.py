"""The envelope: the extremes of a stream of numbers so far, slowly forgotten.

An extreme already holds the autocorrelation, the tail and the misfit of the season that break
scores in sigmas. A repeated extreme is silent by design; the tests of tier B are there for those.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["announce", "excess", "widen"]

Floats = NDArray[np.float32]

_ABOVE_LAST: Final = np.float32(1.4)
_HIGHEST: Final = np.float32(30.0)
_THROTTLE_STEP: Final = np.float32(0.1)


def excess(streams: Floats, low: Floats, high: Floats, sensitivity: float | Floats) -> Floats:
    """Return how far streams lie outside of their bounds; 1 is `sensitivity` times their width.

    Args:
        streams: Stream, metric, key; NaN where a stream is absent.
        low: Lower bounds; NaN before the first value.
        high: Upper bounds.
        sensitivity: Share of the width that counts as 1, of all metrics or by metric.

    Returns:
        The largest excess over the streams of each metric and key; 0 inside.
    """
    width = high - low
    beyond = np.maximum(streams - high, low - streams)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where((beyond > 0) & (width > 0), beyond / width, np.float32(0))
    largest: Floats = score.max(axis=0) / np.asarray(sensitivity, np.float32)
    return largest


def widen(streams: Floats, low: Floats, high: Floats, keep: Floats) -> None:
    """Pull bounds, in place, toward their middle, and out again to the new values.

    Args:
        streams: Stream, metric, key; NaN: nothing changes.
        low: Lower bounds.
        high: Upper bounds.
        keep: What one window leaves of the distance from the middle, by stream.
    """
    middle = np.float32(0.5) * (low + high)
    is_there = ~np.isnan(streams)
    np.copyto(low, np.fmin(middle + (low - middle) * keep, streams), where=is_there)
    np.copyto(high, np.fmax(middle + (high - middle) * keep, streams), where=is_there)


def announce(score: Floats, throttle: Floats, refractory: Floats) -> Floats:
    """Return the scores that are worth a word: 0 for those that repeat the one before.

    Args:
        score: Excess of each metric and key.
        throttle: How much was announced lately; grows, in place, with every announcement.
        refractory: The last announcement, decaying; set, in place, by every new one.
    """
    scaled = score / (1 + throttle)
    is_new = scaled > _ABOVE_LAST * refractory
    np.copyto(refractory, np.minimum(scaled, _HIGHEST), where=is_new)
    emitted = np.where(is_new, scaled, np.float32(0))
    throttle += _THROTTLE_STEP * (emitted >= 1)
    return emitted
