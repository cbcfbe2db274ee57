"""Deltas in, closed windows out: each delta once, each window once, in the order of time.

A window that closes complete holds everything; one without an event is then an observed zero. What
cannot be known whole is given up, and what comes after its window has closed is counted: nobody
judges either. The outcome is the same for any split of the deltas and for any repetition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from tokentide_jobs.core.merge.completeness import Progress
from tokentide_jobs.core.merge.key_levels import KeyLevel
from tokentide_jobs.core.merge.open_windows import OpenWindows, WindowSums
from tokentide_jobs.core.merge.packing import pack, unpack

__all__ = ["MergedWindow", "WindowMerge"]


@dataclass(frozen=True, slots=True)
class MergedWindow:
    """One window that has closed complete."""

    start_us: int
    sums: WindowSums


@dataclass(slots=True)
class WindowMerge:
    """The windows of one length, from the first that is watched on.

    Attributes:
        levels: What windows are summed by.
        length_us: Of a window.
        closed_until_us: Windows before it are closed; -1 before anything is known.
        late_requests: Requests that came after their window had closed.
        given_up: Windows with events that were not known whole.
    """

    levels: Sequence[KeyLevel]
    length_us: int
    closed_until_us: int = -1
    late_requests: int = 0
    given_up: int = 0
    _open: OpenWindows = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no window."""
        self._open = OpenWindows(self.levels, self.length_us)

    def set_levels(self, levels: Sequence[KeyLevel]) -> None:
        """Sum windows that are open, and later ones, by other levels."""
        self.levels = levels
        self._open.levels = tuple(levels)

    def add(self, rows: pl.DataFrame) -> None:
        """Add the rows of deltas that were not added before, in the columns of WANTED."""
        start_us = pl.col("window_start").dt.epoch("us")
        late = rows.filter(start_us < self.closed_until_us)
        self.late_requests += int(late["requests"].sum() or 0)
        if late.height:
            rows = rows.filter(start_us >= self.closed_until_us)
        if rows.height:
            self._open.add(rows)

    def close(self, progress: Progress) -> Iterator[MergedWindow]:
        """Yield the windows that are complete now, oldest first; give up those that never are."""
        if self.closed_until_us < 0:
            if progress.complete_us() < 0:
                return
            oldest_us = min(self._open.starts, default=progress.complete_us())
            begin_us = progress.begin_us(oldest_us)
            self._give_up(begin_us // self.length_us * self.length_us)
        while progress.closes(self.closed_until_us + self.length_us):
            start_us, end_us = self.closed_until_us, self.closed_until_us + self.length_us
            if progress.is_complete(end_us) and progress.is_sure(start_us):
                self.closed_until_us = end_us
                yield MergedWindow(start_us, self._open.close(start_us))
            else:
                self._give_up(end_us)

    def to_bytes(self) -> bytes:
        """Return everything; `restore` takes it up, bit for bit."""
        counts = [self.closed_until_us, self.late_requests, self.given_up]
        return pack({"counts": json.dumps(counts).encode(), "open": self._open.to_bytes()})

    def restore(self, data: bytes) -> None:
        """Take up what `to_bytes` returned."""
        parts = unpack(data)
        self.closed_until_us, self.late_requests, self.given_up = json.loads(parts["counts"])
        self._open.restore(parts["open"])

    def _give_up(self, until_us: int) -> None:
        for start_us in self._open.starts:
            if start_us < until_us:
                self._open.close(start_us)
                self.given_up += 1
        self.closed_until_us = until_us
