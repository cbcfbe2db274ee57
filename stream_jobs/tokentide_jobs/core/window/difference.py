"""What must be added to some window sums to make others of them: a difference, itself a delta.

Windows are sums, so they are corrected by adding and never by replacing: whatever ingest adds at
the same time stays right. Counts below zero stand in Int64; histogram counts are UInt64 and wrap
around, as the sums of the window tables do, so that adding them takes observations away.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from tokentide_jobs.core.window.fold import COST_SUMS, DELTA_SCHEMA, DIMENSIONS, HISTOGRAMS
from tokentide_jobs.core.window.histogram import HISTOGRAM

__all__ = ["SERIES", "SUMS", "minus", "plus", "rolled"]

SERIES: Final = ("window_start", *DIMENSIONS)
"""What a row of a window table is about."""
SUMS: Final = tuple(name for name in DELTA_SCHEMA if name not in (*SERIES, *HISTOGRAMS))
"""Every measure but the histograms."""


def minus(wanted: pl.DataFrame, present: pl.DataFrame) -> pl.DataFrame:
    """Return what added to `present` gives `wanted`; rows that add nothing are left out.

    Args:
        wanted: Sums in DELTA_SCHEMA, any number of rows a series.
        present: The same.
    """
    negated = present.with_columns(-pl.col(name) for name in SUMS)
    deltas = (
        pl.concat([wanted.select(*SERIES, *SUMS), negated.select(*SERIES, *SUMS)])
        .group_by(SERIES)
        .agg(pl.col(SUMS).sum())
        .with_columns(pl.col(COST_SUMS).cast(pl.Decimal(38, 0)))
    )
    for name in HISTOGRAMS:
        difference = _summed_histograms([(wanted, 1), (present, -1)], name)
        deltas = deltas.join(difference, on=SERIES, how="left")
    empty = pl.lit([], dtype=HISTOGRAM)
    deltas = deltas.with_columns(pl.col(name).fill_null(empty) for name in HISTOGRAMS)
    nothing = pl.all_horizontal(
        *(pl.col(name) == 0 for name in SUMS), *(pl.col(h).list.len() == 0 for h in HISTOGRAMS)
    )
    return deltas.filter(~nothing).select(list(DELTA_SCHEMA)).sort(SERIES)


def plus(deltas: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return the sum of two differences; rows that add nothing are left out."""
    return minus(pl.concat([deltas, others]), deltas.clear())


def rolled(deltas: pl.DataFrame, length_s: int) -> pl.DataFrame:
    """Return deltas as they stand in windows of another length."""
    return deltas.with_columns(pl.col("window_start").dt.truncate(f"{length_s}s"))


def _summed_histograms(parts: list[tuple[pl.DataFrame, int]], name: str) -> pl.DataFrame:
    counts = []
    for frame, sign in parts:
        exploded = frame.select(*SERIES, name).explode(name).drop_nulls(name).unnest(name)
        signed = pl.col("value").cast(pl.Int64, wrap_numerical=True) * sign
        counts.append(exploded.with_columns(signed))
    merged = pl.concat(counts).group_by(*SERIES, "key").agg(pl.col("value").sum())
    wrapped = merged.filter(pl.col("value") != 0).with_columns(
        pl.col("value").cast(pl.UInt64, wrap_numerical=True)
    )
    entries = pl.struct("key", "value").alias(name)
    return wrapped.sort("key").group_by(SERIES, maintain_order=True).agg(entries)
