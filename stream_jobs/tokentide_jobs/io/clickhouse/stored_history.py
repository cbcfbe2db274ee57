"""Stored windows for detectors to learn from: which there are, and their rows in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from tokentide_jobs.core.merge.deltas import chosen_columns
from tokentide_jobs.core.merge.open_windows import WANTED
from tokentide_jobs.core.tables import DAY_US, WINDOW_LENGTH_S
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = [
    "HISTORY_US",
    "HistorySpan",
    "history_span",
    "newest_window_us",
    "pieces",
    "read_history",
]

HISTORY_US: Final = 14 * DAY_US
"""How far back is learned from."""
_TABLES: Final = {length_s * 1_000_000: table for table, length_s in WINDOW_LENGTH_S.items()}
"""Where windows of a length are stored; longer ones are put together from those of a part."""
_ROWS_AT_ONCE: Final = 50_000
"""That memory does not grow with the history."""


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """What is stored of the last two weeks.

    Attributes:
        length_us: Of a window.
        oldest_us: Start of the oldest window.
        windows: Windows that hold something.
        rows: Of all of them.
        series: About how many different ones there are.
        dimensions: Those that have a value somewhere.
    """

    length_us: int
    oldest_us: int
    windows: int
    rows: int
    series: int
    dimensions: frozenset[str]


def history_span(store: ClickHouse, until_us: int, length_us: int) -> HistorySpan | None:
    """Return what is stored of the two weeks before a time; None: nothing. Raises as `select`."""
    span = {
        "table": _table(length_us), "begin_us": until_us - HISTORY_US, "end_us": until_us,
    }  # fmt: skip
    rows = store.select("detect/history_span", span)
    if not rows:
        return None
    row = rows[0]
    named = frozenset(name for name in DIMENSIONS if row[name])
    return HistorySpan(
        length_us, row["oldest_us"], row["windows"], row["stored"], row["series"], named
    )


def newest_window_us(store: ClickHouse) -> int:
    """Return where the newest stored window ends, 0 where there is none; raises as `select`."""
    rows = store.select("detect/newest_window")
    return int(rows[0]["end_us"]) if rows else 0


def pieces(span: HistorySpan, until_us: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield half-open stretches of time, oldest first, that hold some thousand rows each.

    Args:
        span: What there is.
        until_us: Where it ends.
        stride: One window of so many is read.
    """
    windows = max(1, _ROWS_AT_ONCE * span.windows // span.rows)
    length_us = windows * stride * span.length_us
    for begin_us in range(span.oldest_us, until_us, length_us):
        yield begin_us, min(begin_us + length_us, until_us)


def read_history(
    store: ClickHouse, length_us: int, begin_us: int, end_us: int, stride: int
) -> pl.DataFrame:
    """Return the rows of windows of a length in a stretch of time, as deltas have them.

    Raises as `select`.
    """
    read = {
        "table": _table(length_us), "window_s": length_us // 1_000_000, "begin_us": begin_us,
        "end_us": end_us, "stride": stride,
    }  # fmt: skip
    return chosen_columns(store.select_arrow("detect/history", read), WANTED)


def _table(length_us: int) -> str:
    return _TABLES[max(stored_us for stored_us in _TABLES if length_us % stored_us == 0)]
