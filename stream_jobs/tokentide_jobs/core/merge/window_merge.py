"""Deltas in, closed windows out: each delta once, each window once, in the order of time.

A call counts in the window in which it began; one that ends after that has closed, in the window
that is open then, so that every call counts once. A window that closes complete and without an
event is an observed zero; what cannot be known whole is given up and not judged. Windows of
ten seconds are views of the minute that is open: a call that is late for its own counts in the one
that is open then, of the same minute. The outcome is the same for any split of the deltas and for
any repetition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from tokentide_jobs.core.merge.completeness import Progress
from tokentide_jobs.core.merge.key_levels import KeyLevel
from tokentide_jobs.core.merge.merged_sums import NO_SUMS, MergedSums, sums_of
from tokentide_jobs.core.merge.open_windows import GRAIN_US, OpenWindows, WindowFigures
from tokentide_jobs.core.merge.packing import pack, unpack

__all__ = ["FAST_US", "MergedWindow", "WindowMerge"]

FAST_US: Final = GRAIN_US
"""Length of a fast window."""
_COUNTS: Final = (
    *("closed_until_us", "judged_from_us", "carried_requests", "late_requests", "given_up"),
    *("fast_until_us", "fast_from_us"),
)


@dataclass(frozen=True, slots=True)
class MergedWindow:
    """One window that has closed complete."""

    start_us: int
    length_us: int
    sums: WindowFigures


@dataclass(slots=True)
class WindowMerge:
    """The windows of a minute, or of a multiple of that, from the first that is watched on.

    Attributes:
        levels: What windows are summed by.
        length_us: Of a window.
        longest_call_us: What began longer ago than this is history: no window counts it any more.
        fast_levels: What windows of ten seconds are summed by; none: there are no such windows.
        closed_until_us: Windows before it are closed; -1 before anything is known.
        judged_from_us: Since then no window was given up.
        carried_requests: Requests that count in a later window than that in which they began.
        late_requests: Requests that came after their window had closed, and count in none.
        given_up: Windows with events that were not known whole.
        fast_until_us: Windows of ten seconds before it are closed.
        fast_from_us: Those before it are given up.
        judged: Everything that came into windows which closed complete.
        unjudged: Everything that came into windows which were given up, or too late for any.
    """

    levels: Sequence[KeyLevel]
    length_us: int
    longest_call_us: int
    fast_levels: Sequence[KeyLevel] = ()
    closed_until_us: int = -1
    judged_from_us: int = -1
    carried_requests: int = 0
    late_requests: int = 0
    given_up: int = 0
    fast_until_us: int = -1
    fast_from_us: int = -1
    judged: MergedSums = NO_SUMS
    unjudged: MergedSums = NO_SUMS
    _open: OpenWindows = field(default_factory=OpenWindows)

    def add(self, rows: pl.DataFrame, reached_us: int) -> None:
        """Add the rows of deltas that were not added before.

        Args:
            rows: In the columns of WANTED.
            reached_us: What arrived before this is known; rows came about then.
        """
        start_us = pl.col("window_start").dt.epoch("us")
        late = rows.filter(start_us < self.closed_until_us)
        if late.height:
            rows = pl.concat(
                [rows.filter(start_us >= self.closed_until_us), self._carried(late, reached_us)]
            )
        if rows.height:
            self._open.add(self._within_minute(rows))

    def close(self, progress: Progress) -> Iterator[MergedWindow]:
        """Yield the windows that are complete now, oldest first; give up those that never are."""
        if self.closed_until_us < 0:
            if progress.complete_us() < 0:
                # Some source is silent: what has waited too long for it is never whole.
                self._drop(lambda start_us: progress.closes(start_us + self.length_us))
                return
            oldest_us = min(self._open.starts, default=progress.complete_us())
            begin_us = progress.begin_us(oldest_us)
            self._give_up(begin_us // self.length_us * self.length_us)
        while True:
            yield from self._close_fast(progress)
            start_us, end_us = self.closed_until_us, self.closed_until_us + self.length_us
            if not progress.closes(end_us):
                return
            if progress.is_complete(end_us) and progress.is_sure(start_us):
                self.closed_until_us = end_us
                self.judged = self.judged.plus(self._open.held(start_us, end_us))
                sums = self._open.sums(start_us, end_us, self.levels)
                self._open.forget(start_us, end_us)
                yield MergedWindow(start_us, self.length_us, sums)
            else:
                self._give_up(end_us)

    @property
    def held(self) -> MergedSums:
        """Return everything that was added, wherever it lies by now."""
        starts = self._open.starts or [0]
        opened = self._open.held(starts[0], starts[-1] + GRAIN_US)
        return opened.plus(self.judged).plus(self.unjudged)

    def to_bytes(self) -> bytes:
        """Return everything; `restore` takes it up, bit for bit."""
        counts = [getattr(self, name) for name in _COUNTS]
        parts = {"counts": counts, "sums": [self.judged, self.unjudged]}
        packed = {name: json.dumps(part).encode() for name, part in parts.items()}
        return pack({**packed, "open": self._open.to_bytes()})

    def restore(self, data: bytes) -> None:
        """Take up what `to_bytes` returned."""
        parts = unpack(data)
        counts = json.loads(parts["counts"])
        for name, value in zip(_COUNTS, counts, strict=False):
            setattr(self, name, value)
        if "sums" in parts:  # a state of before they were summed has none
            self.judged, self.unjudged = (MergedSums(*one) for one in json.loads(parts["sums"]))
        self._open.restore(parts["open"])
        if len(counts) < len(_COUNTS):  # a state of before there were fast windows
            self.fast_until_us = self.closed_until_us
            # What it holds of a minute lies in the first ten seconds of that.
            newest_us = max([self.closed_until_us, *self._open.starts])
            self.fast_from_us = (newest_us // self.length_us + 1) * self.length_us

    def _carried(self, late: pl.DataFrame, reached_us: int) -> pl.DataFrame:
        """Return the late rows that count in the first open window, as rows of that."""
        # How much of a window that was given up is still to come is unknown: none of it counts.
        since_us = max(reached_us, self.closed_until_us) - self.longest_call_us
        begins_us = max(since_us, self.judged_from_us)
        carried = late.filter(pl.col("window_start").dt.epoch("us") >= begins_us)
        requests = int(carried["requests"].sum() or 0)
        self.carried_requests += requests
        self.late_requests += int(late["requests"].sum() or 0) - requests
        self.unjudged = self.unjudged.plus(sums_of(late).minus(sums_of(carried)))
        return carried.with_columns(_moment(self.closed_until_us).alias("window_start"))

    def _within_minute(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows with those that are late for their ten seconds in the open ones."""
        if not self.fast_levels:
            return rows
        # How much of ten seconds that were given up is still to come is unknown.
        start_us = pl.col("window_start").dt.epoch("us")
        begins_us = max(self.closed_until_us, self.fast_from_us)
        is_late = (start_us >= begins_us) & (start_us < self.fast_until_us)
        opens = pl.when(is_late).then(_moment(self.fast_until_us)).otherwise("window_start")
        return rows.with_columns(opens.alias("window_start"))

    def _close_fast(self, progress: Progress) -> Iterator[MergedWindow]:
        """Yield the windows of ten seconds, of the minute that is open, that are complete now."""
        until_us = self.closed_until_us + self.length_us
        while self.fast_until_us < until_us and progress.closes(self.fast_until_us + FAST_US):
            start_us, end_us = self.fast_until_us, self.fast_until_us + FAST_US
            self.fast_until_us = end_us
            if not (progress.is_complete(end_us) and progress.is_sure(start_us)):
                self.fast_from_us = end_us
            elif self.fast_levels and start_us >= self.fast_from_us:
                sums = self._open.sums(start_us, end_us, self.fast_levels)
                yield MergedWindow(start_us, FAST_US, sums)

    def _drop(self, is_lost: Callable[[int], bool]) -> None:
        """Give up the open windows whose start says so."""
        starts = {at_us // self.length_us * self.length_us for at_us in self._open.starts}
        for start_us in filter(is_lost, sorted(starts)):
            end_us = start_us + self.length_us
            self.unjudged = self.unjudged.plus(self._open.held(start_us, end_us))
            self._open.forget(start_us, end_us)
            self.given_up += 1

    def _give_up(self, until_us: int) -> None:
        self._drop(lambda start_us: start_us < until_us)
        self.closed_until_us = self.judged_from_us = until_us
        self.fast_until_us = max(self.fast_until_us, until_us)


def _moment(at_us: int) -> pl.Expr:
    return pl.from_epoch(pl.lit(at_us), "us").dt.replace_time_zone("UTC")
