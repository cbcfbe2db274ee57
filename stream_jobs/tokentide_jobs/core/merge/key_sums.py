"""Sums of rows by the keys of a level, and every metric that they come to.

Integers are summed exactly; floats are made of the sums, so the order of rows does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.detect.quantiles import quantile
from tokentide_jobs.core.detect.window_metrics import METRICS, observe

__all__ = ["ENTRY", "HISTOGRAMS", "SUMS", "KeySums", "entries_of", "sum_by_key"]

_QUANTILES: Final = {m.name: (m.histogram, m.quantile) for m in METRICS if m.histogram}
HISTOGRAMS: Final = tuple(sorted({name for name, _q in _QUANTILES.values()}))
"""Histograms that metrics are quantiles of."""
_BLENDED: Final = ("cost_input_pico_usd", "cost_output_pico_usd", "input_tokens")
_TERMS: Final = (term for m in METRICS for term in (*m.of, *m.per, *m.counted))
SUMS: Final = tuple(
    sorted(
        {term.removeprefix("-") for term in _TERMS}
        | {*_BLENDED, "cache_read_tokens", "cache_write_tokens", "output_tokens", "events"}
    )
)
"""Measures that metrics are made of, and events, which tell whether every delta is there."""
ENTRY: Final = {"series": pl.UInt32(), "key": pl.Int16(), "value": pl.Int64()}
"""One bucket of the histogram of a series."""


@dataclass(frozen=True, slots=True)
class KeySums:
    """What rows come to by key, in the order of the keys' values."""

    groups: pl.DataFrame
    """What is a key: its columns."""
    values: NDArray[np.float64]
    """Metric, key; NaN: absent."""
    counts: NDArray[np.float64]
    cost_usd: NDArray[np.float64]


def sum_by_key(
    group: Sequence[str], series: pl.DataFrame, whole: Mapping[str, pl.DataFrame], length_us: int
) -> KeySums:
    """Sum rows by key.

    Args:
        group: Columns that make a key.
        series: Number of each series, `series`, with these columns; others count in no key.
        whole: Measures by series as `sums`, and the entries of each histogram.
        length_us: Of the window that a row belongs to.
    """
    known = series.select("series", *group)
    by_key = whole["sums"].join(known, on="series").group_by(group).agg(pl.col(SUMS).sum())
    by_key = by_key.sort(group)
    groups = by_key.select(group)
    place = groups.with_row_index("place")
    place_of = known.join(place, on=group).select("series", "place")
    columns = {name: by_key[name].cast(pl.Float64).to_numpy() for name in SUMS}
    quantiles = {}
    for metric, (name, q) in _QUANTILES.items():
        entries = whole[name].join(place_of, on="series")
        rows, buckets, counts = (
            entries[column].cast(pl.Int64).to_numpy() for column in ("place", "key", "value")
        )
        quantiles[metric] = quantile(rows, buckets, counts, by_key.height, q)
    values, counts = observe(columns, quantiles, length_us // 1_000_000)
    return KeySums(groups, values, counts, columns["cost_pico_usd"] * 1e-12)


def entries_of(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the entries of a histogram, one a row."""
    listed = frame.select("series", name).filter(pl.col(name).list.len() > 0)
    if not listed.height:
        return pl.DataFrame(schema=ENTRY)
    return listed.explode(name).unnest(name).cast(ENTRY)  # type: ignore[arg-type]
