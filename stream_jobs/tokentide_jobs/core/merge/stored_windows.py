"""Stored windows as the stream would have closed them: many at once, in the order of time.

What they come to by key is what the same rows come to as deltas. A window of which nothing is
stored is left out: whether it was watched is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.merge.key_levels import KeyLevel, key_name
from tokentide_jobs.core.merge.key_sums import HISTOGRAMS, SUMS, KeySums, entries_of, sum_by_key
from tokentide_jobs.core.merge.open_windows import WindowFigures
from tokentide_jobs.core.merge.window_merge import MergedWindow

__all__ = ["stored_windows"]


def stored_windows(
    rows: pl.DataFrame, levels: Sequence[KeyLevel], length_us: int
) -> Iterator[MergedWindow]:
    """Yield the windows that rows belong to, oldest first.

    Args:
        rows: In the columns of WANTED; several may hold one series of one window.
        levels: What windows are summed by.
        length_us: Of a window.
    """
    start_us = pl.col("window_start").dt.epoch("us") // length_us * length_us
    numbered = rows.with_columns(start_us.alias("start_us")).with_row_index("series")
    whole = {name: entries_of(numbered, name) for name in HISTOGRAMS}
    whole["sums"] = numbered.select("series", *SUMS)
    names: list[str] = []
    parts = []
    for level in levels:
        series = numbered.filter(pl.col(name) != "" for name in level)
        part = sum_by_key(("start_us", *level), series, whole, length_us)
        numbers, of_level = _named(level, part)
        parts.append((part, numbers + len(names)))
        names += of_level
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    ranks = np.concatenate([rank[numbers] for _part, numbers in parts])
    starts = np.concatenate([part.groups["start_us"].to_numpy() for part, _numbers in parts])
    by_time = np.lexsort((ranks, starts))
    values = np.concatenate([part.values for part, _numbers in parts], axis=1)[:, by_time]
    counts = np.concatenate([part.counts for part, _numbers in parts], axis=1)[:, by_time]
    cost_usd = np.concatenate([part.cost_usd for part, _numbers in parts])[by_time]
    keys = [names[order[at]] for at in ranks[by_time].tolist()]
    for start in numbered["start_us"].unique().sort().to_list():
        first, end = np.searchsorted(starts[by_time], [start, start + 1]).tolist()
        here = slice(first, end)
        sums = WindowFigures(keys[here], values[:, here], counts[:, here], cost_usd[here])
        yield MergedWindow(start, length_us, sums)


def _named(level: KeyLevel, part: KeySums) -> tuple[NDArray[np.int64], list[str]]:
    """Return the number of the key of every row, and the names of the keys by their number."""
    known = part.groups.select(level).unique(maintain_order=True)
    joined = part.groups.select(level).join(
        known.with_row_index("number"), on=level, how="left", maintain_order="left"
    )
    numbers = joined["number"].cast(pl.Int64).to_numpy()
    return numbers, [key_name(row) for row in known.iter_rows(named=True)]
