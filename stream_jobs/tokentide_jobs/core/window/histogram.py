"""Histograms with one per cent relative error whose counts simply add up.

Bucket b holds the values in (g^(b-1), g^b] with g = (1 + a) / (1 - a), a = 0.01; any value in it is
within a of the representative 2 g^b / (g + 1) (DDSketch: Masson, Rim, Lee, VLDB 2019). Zero has a
bucket of its own. The bounds are a table computed in exact decimals, so that a value lands in the
same bucket on every machine, whatever its logarithm rounds to.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

RELATIVE_ERROR: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
ZERO_BUCKET: Final = -32768
SMALLEST: Final = 1e-9
"""Smaller values count as zero: a femtosecond, a billionth of a token per second."""
_LARGEST: Final = 2.0**64
"""Larger values share the last bucket; pico-USD of one event are below 2^63."""

HISTOGRAM: Final = pl.List(pl.Struct({"key": pl.Int16, "value": pl.UInt64}))
"""A histogram in a frame: entries sorted by bucket, none of them zero."""

_LOG_GAMMA: Final = math.log(GAMMA)
_FIRST: Final = math.floor(math.log(SMALLEST) / _LOG_GAMMA) - 1
_LAST: Final = math.ceil(math.log(_LARGEST) / _LOG_GAMMA)


def _bounds() -> NDArray[np.float64]:
    """Return g^b for b from _FIRST to _LAST, each correctly rounded."""
    with localcontext(prec=60):
        gamma = Decimal(101) / Decimal(99)
        power = gamma**_FIRST
        bounds = []
        for _ in range(_FIRST, _LAST + 1):
            bounds.append(float(power))
            power *= gamma
    return np.array(bounds)


_BOUNDS: Final = _bounds()


def buckets_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bucket of every value; values must be finite, what is below SMALLEST is zero."""
    positive = np.clip(values, SMALLEST, _LARGEST)
    places = np.ceil(np.log(positive) / _LOG_GAMMA).astype(np.int64) - _FIRST
    # The logarithm may be off by a rounding error next to a bound; the table decides.
    places = np.clip(places, 1, len(_BOUNDS) - 1)
    places += positive > _BOUNDS.take(places, mode="clip")
    places -= positive <= _BOUNDS[places - 1]
    return np.where(values < SMALLEST, ZERO_BUCKET, places + _FIRST)


def histograms_of(
    groups: NDArray[np.int64], buckets: NDArray[np.int64], group_count: int
) -> pl.Series:
    """Count buckets per group.

    Args:
        groups: The group of every value, in [0, group_count).
        buckets: The bucket of every value, as `buckets_of` gives it.
        group_count: Length of the result.

    Returns:
        One histogram a group, of dtype HISTOGRAM; empty for a group without values.
    """
    combined = (groups << 16) | (buckets - ZERO_BUCKET)
    if group_count <= 1 << 16:
        combined = combined.astype(np.uint32)  # half the bytes sort in half the time
    combined.sort()
    is_first = np.ones(len(combined), bool)
    np.not_equal(combined[1:], combined[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)
    counts = np.diff(firsts, append=len(combined))
    combined = combined[firsts].astype(np.int64)
    sizes = np.bincount(combined >> 16, minlength=group_count)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    keys = ((combined & 0xFFFF) + ZERO_BUCKET).astype(np.int16)
    entries = pa.StructArray.from_arrays(
        [pa.array(keys), pa.array(counts.astype(np.uint64))], names=["key", "value"]
    )
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), entries)
    histograms = pl.from_arrow(lists)
    assert isinstance(histograms, pl.Series)
    return histograms.cast(HISTOGRAM)
