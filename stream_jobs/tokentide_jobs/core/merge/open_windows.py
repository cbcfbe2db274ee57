"""Sums of what no window has taken yet, by series; what a window comes to is summed by key.

They are kept by ten seconds, so windows of any length see the same sums. Everything that is added
is an integer, so the order of deltas does not matter: floats are made of the sums of a window once
it is closed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.merge.key_levels import KeyLevel, key_name
from tokentide_jobs.core.merge.key_sums import ENTRY, HISTOGRAMS, SUMS, entries_of, sum_by_key
from tokentide_jobs.core.merge.merged_sums import MergedSums, sums_of
from tokentide_jobs.core.merge.packing import pack, unpack
from tokentide_jobs.core.tables import WINDOW_US
from tokentide_jobs.core.window.exact import MONEY
from tokentide_jobs.core.window.fold import COST_SUMS, DIMENSIONS
from tokentide_jobs.core.window.histogram import HISTOGRAM

__all__ = ["GRAIN_US", "WANTED", "OpenWindows", "WindowFigures"]

GRAIN_US: Final = WINDOW_US
"""What sums are kept by: the windows of deltas."""

WANTED: Final[Mapping[str, pl.DataType]] = {
    "window_start": pl.Datetime("us", "UTC"),
    **dict.fromkeys(DIMENSIONS, pl.String()),
    **{name: MONEY if name in COST_SUMS else pl.Int64() for name in SUMS},
    **dict.fromkeys(HISTOGRAMS, HISTOGRAM),
}
"""Columns of a window delta that are read."""

_MOST_PARTS: Final = 64
_FEWEST_PRUNED: Final = 10_000


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """What one window comes to."""

    keys: Sequence[str]
    """In the order of their names."""
    values: NDArray[np.float64]
    """Metric, key; NaN: absent."""
    counts: NDArray[np.float64]
    cost_usd: NDArray[np.float64]
    """By key."""


class OpenWindows:
    """What was added and not forgotten, by ten seconds."""

    def __init__(self) -> None:
        self._series = pl.DataFrame(schema=dict.fromkeys(DIMENSIONS, pl.String()))
        self._kept_series = 0
        self._parts: dict[int, list[dict[str, pl.DataFrame]]] = {}

    @property
    def starts(self) -> list[int]:
        """Return the starts of the stretches that hold something, oldest first."""
        return sorted(self._parts)

    def add(self, rows: pl.DataFrame) -> None:
        """Add the rows of deltas, in the columns of WANTED."""
        start = pl.col("window_start").dt.epoch("us") // GRAIN_US * GRAIN_US
        numbered = rows.with_columns(start.alias("start"), self._numbers(rows).alias("series"))
        for (at,), frame in numbered.group_by("start", maintain_order=True):
            part = {"sums": frame.group_by("series").agg(pl.col(SUMS).sum())}
            for name in HISTOGRAMS:
                part[name] = _summed(entries_of(frame, name))
            parts = self._parts.setdefault(int(str(at)), [])
            parts.append(part)
            if len(parts) > _MOST_PARTS:
                parts[:] = [_joined(parts)]

    def held(self, start_us: int, end_us: int) -> MergedSums:
        """Return what a window holds by now."""
        parts = (sums_of(part["sums"]) for part in self._within(start_us, end_us))
        return reduce(MergedSums.plus, parts, MergedSums())

    def sums(self, start_us: int, end_us: int, levels: Sequence[KeyLevel]) -> WindowFigures:
        """Return what a window comes to, by the keys of every level."""
        parts = self._within(start_us, end_us)
        whole = _joined(parts) if parts else _nothing()
        closed = [self._level(level, whole, end_us - start_us) for level in levels]
        keys = [key for one in closed for key in one.keys]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        shape = (len(METRICS), 0)
        return WindowFigures(
            [keys[at] for at in order],
            np.concatenate([np.zeros(shape), *(one.values for one in closed)], axis=1)[:, order],
            np.concatenate([np.zeros(shape), *(one.counts for one in closed)], axis=1)[:, order],
            np.concatenate([np.zeros(0), *(one.cost_usd for one in closed)])[order],
        )

    def forget(self, start_us: int, end_us: int) -> None:
        """Forget what a window holds."""
        for at_us in [at_us for at_us in self._parts if start_us <= at_us < end_us]:
            del self._parts[at_us]
        self._prune()

    def to_bytes(self) -> bytes:
        """Return everything; the same sums give the same bytes, however they came."""
        order = self._series.with_row_index("series").sort(DIMENSIONS)
        moved = order.select("series").with_row_index("new")
        parts = {
            "series": _to_ipc(order.select(DIMENSIONS)),
            "kept": str(self._kept_series).encode(),
        }
        for start_us in self.starts:
            for name, frame in _joined(self._parts[start_us]).items():
                parts[f"{start_us}/{name}"] = _to_ipc(_moved(frame, moved))
        return pack(parts)

    def restore(self, data: bytes) -> None:
        """Take up what `to_bytes` returned."""
        parts = unpack(data)
        self._series = _from_ipc(parts.pop("series"))
        self._kept_series = int(parts.pop("kept"))
        windows: dict[int, dict[str, pl.DataFrame]] = {}
        for place, frame in parts.items():
            start_us, _slash, name = place.partition("/")
            windows.setdefault(int(start_us), {})[name] = _from_ipc(frame)
        for part in windows.values():
            if "events" not in part["sums"].columns:  # a state of before they were summed
                part["sums"] = part["sums"].with_columns(events=pl.lit(0, pl.Int64()))
            part["sums"] = part["sums"].select("series", *SUMS)
        self._parts = {start_us: [part] for start_us, part in windows.items()}

    def _within(self, start_us: int, end_us: int) -> list[dict[str, pl.DataFrame]]:
        starts = [at_us for at_us in self.starts if start_us <= at_us < end_us]
        return [part for at_us in starts for part in self._parts[at_us]]

    def _numbers(self, rows: pl.DataFrame) -> pl.Series:
        """Return the number of the series of every row; new ones get the next numbers."""
        found = rows.select(DIMENSIONS)
        new = found.unique(maintain_order=True).join(self._series, on=DIMENSIONS, how="anti")
        if new.height:
            self._series = pl.concat([self._series, new.sort(DIMENSIONS)])
        numbered = self._series.with_row_index("series")
        joined = found.join(numbered, on=DIMENSIONS, how="left", maintain_order="left")
        return joined["series"]

    def _level(
        self, level: KeyLevel, whole: Mapping[str, pl.DataFrame], length_us: int
    ) -> WindowFigures:
        """Sum a window by one level."""
        named = self._series.with_row_index("series").filter(pl.col(name) != "" for name in level)
        sums = sum_by_key(level, named, whole, length_us)
        keys = [key_name(row) for row in sums.groups.iter_rows(named=True)]
        return WindowFigures(keys, sums.values, sums.counts, sums.cost_usd)

    def _prune(self) -> None:
        """Forget series that no open window holds, when they have become twice as many."""
        if self._series.height <= max(_FEWEST_PRUNED, 2 * self._kept_series):
            return
        held = [part["sums"]["series"] for parts in self._parts.values() for part in parts]
        numbers = pl.concat([pl.Series("series", [], pl.UInt32), *held]).unique().sort()
        moved = numbers.to_frame().with_row_index("new")
        self._series = self._series[numbers]
        self._kept_series = self._series.height
        for parts in self._parts.values():
            for part in parts:
                part.update({name: _moved(frame, moved) for name, frame in part.items()})


def _moved(frame: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with new numbers of series, in their order."""
    joined = frame.join(moved, on="series")
    renamed = joined.select(pl.col("new").alias("series"), *frame.columns[1:])
    return renamed.sort("series", *frame.columns[1:2])


def _summed(entries: pl.DataFrame) -> pl.DataFrame:
    return entries.group_by("series", "key").agg(pl.col("value").sum())


def _joined(parts: Sequence[Mapping[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """Return several parts of a window as one, in the order of series."""
    sums = pl.concat([part["sums"] for part in parts])
    joined = {"sums": sums.group_by("series").agg(pl.col(SUMS).sum()).sort("series")}
    for name in HISTOGRAMS:
        joined[name] = _summed(pl.concat([p[name] for p in parts])).sort("series", "key")
    return joined


def _nothing() -> dict[str, pl.DataFrame]:
    sums = {name: WANTED[name] for name in SUMS}
    empty = {"sums": pl.DataFrame(schema={"series": pl.UInt32(), **sums})}
    return empty | {name: pl.DataFrame(schema=ENTRY) for name in HISTOGRAMS}


def _to_ipc(frame: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.write_ipc(sink)
    return sink.getvalue()


def _from_ipc(data: bytes) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(data))
