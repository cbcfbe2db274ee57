"""Windows and rollups against raw rows, up to one position of the ledger, while ingest may run.

Three readings, in this order: positions of the ledger, windows, raw rows. Rows below the positions
are of finished batches, so the windows that were read hold all of them. Rows beyond are in flight:
the windows hold all of a batch or nothing, and only of batches whose rows were then read too. So a
window without rows in flight must hold exactly its finished rows; one with rows in flight must hold
at least those and at most all, and is left out of the sums that are compared to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from tokentide_jobs.core.tables import DAY_US, ROLLUPS, WINDOWS

__all__ = [
    "Rollup",
    "Sums",
    "WindowComparison",
    "WindowDifference",
    "WindowRows",
    "compare_windows",
]

_DAY_S = DAY_US // 1_000_000


class Sums(NamedTuple):
    """What windows and raw rows must agree in."""

    events: int = 0
    tokens: int = 0
    cost_pico_usd: int = 0

    def plus(self, other: Sums) -> Sums:
        """Return both together."""
        return Sums(*(mine + others for mine, others in zip(self, other, strict=True)))

    def minus(self, other: Sums) -> Sums:
        """Return what is more here than in `other`."""
        return Sums(*(mine - others for mine, others in zip(self, other, strict=True)))


_NOTHING = Sums()


class WindowRows(NamedTuple):
    """The raw rows of one window: of finished batches, and of batches in flight."""

    done: Sums = _NOTHING
    in_flight: Sums = _NOTHING

    @property
    def is_settled(self) -> bool:
        """Whether no row is in flight."""
        return self.in_flight == _NOTHING

    def allows(self, stored: Sums) -> bool:
        """Tell whether a window may hold these sums."""
        most = self.done.plus(self.in_flight)
        return all(
            low <= found <= high for low, found, high in zip(self.done, stored, most, strict=True)
        )

    def without_tokens(self) -> WindowRows:
        """Return the rows with no token in them."""
        return WindowRows(self.done._replace(tokens=0), self.in_flight._replace(tokens=0))

    def plus(self, other: WindowRows) -> WindowRows:
        """Return the rows of both."""
        return WindowRows(self.done.plus(other.done), self.in_flight.plus(other.in_flight))


_Summed = TypeVar("_Summed", Sums, WindowRows)


class Rollup(NamedTuple):
    """One day of a rollup."""

    table: str
    day_start_s: int


@dataclass(frozen=True, slots=True, order=True)
class WindowDifference:
    """A window, or a day of a rollup, that does not hold what its raw rows say."""

    table: str
    start_s: int
    rows: WindowRows
    stored: Sums


@dataclass(frozen=True, slots=True)
class WindowComparison:
    """The answer of `compare_windows`.

    Attributes:
        compared: Windows without anything in flight: the sums are theirs.
        rows: Sums of the raw rows of these windows.
        windows: Sums of these windows.
        left_out: Windows with rows in flight or under repricing, which were not compared exactly.
        left_out_rows: Sums of their raw rows.
        in_flight: Sums of the raw rows of batches that were not finished.
        differences: Windows and days of rollups that differ, the earliest first.
        repricing: Runs of repricing that were under way.
    """

    compared: int = 0
    rows: Sums = _NOTHING
    windows: Sums = _NOTHING
    left_out: int = 0
    left_out_rows: Sums = _NOTHING
    in_flight: Sums = _NOTHING
    differences: tuple[WindowDifference, ...] = ()
    repricing: tuple[str, ...] = ()

    def confirmed(self, before: WindowComparison) -> WindowComparison:
        """Return this comparison with only the differences that were the same `before`.

        A window that still changes is neither equal nor different: it is left out.
        """
        kept = tuple(found for found in self.differences if found in before.differences)
        moving = [
            found
            for found in self.differences
            if found not in kept and found.rows.is_settled and found.table == WINDOWS
        ]
        rows, windows, left_out_rows = self.rows, self.windows, self.left_out_rows
        for found in moving:
            rows = rows.minus(found.rows.done)
            windows = windows.minus(found.stored)
            left_out_rows = left_out_rows.plus(found.rows.done)
        return replace(
            self,
            differences=kept,
            compared=self.compared - len(moving),
            left_out=self.left_out + len(moving),
            rows=rows,
            windows=windows,
            left_out_rows=left_out_rows,
        )


def compare_windows(
    rows: Mapping[int, WindowRows],
    windows: Mapping[int, Sums],
    *,
    rollups: Mapping[Rollup, Sums] | None = None,
    whole_days_from_s: int = 0,
    repricing: Sequence[tuple[str, int, int]] = (),
) -> WindowComparison:
    """Compare windows and days of rollups with raw rows.

    Args:
        rows: Raw rows by start of their window (epoch s), read after the windows.
        windows: Stored windows by their start.
        rollups: Stored sums of rollups by day, without tokens; None: they are not compared.
        whole_days_from_s: The first day of which all rows are there.
        repricing: Parts of repricings under way as (run, from, until), epoch s: money moves there.
    """
    differences: list[WindowDifference] = []
    compared = left_out = 0
    compared_rows, compared_windows, left_out_rows, in_flight = _NOTHING, Sums(), Sums(), Sums()
    for start_s in sorted({*rows, *windows}):
        found, stored = rows.get(start_s, WindowRows()), windows.get(start_s, Sums())
        in_flight = in_flight.plus(found.in_flight)
        is_repriced = any(low <= start_s < high for _run, low, high in repricing)
        if is_repriced or not found.is_settled:
            left_out += 1
            left_out_rows = left_out_rows.plus(found.done).plus(found.in_flight)
        else:
            compared += 1
            compared_rows = compared_rows.plus(found.done)
            compared_windows = compared_windows.plus(stored)
        if not is_repriced and not found.allows(stored):
            differences.append(WindowDifference(WINDOWS, start_s, found, stored))
    if rollups is not None:
        differences += _rollup_differences(rows, windows, rollups, whole_days_from_s, repricing)
    return WindowComparison(
        compared=compared,
        rows=compared_rows,
        windows=compared_windows,
        left_out=left_out,
        left_out_rows=left_out_rows,
        in_flight=in_flight,
        differences=tuple(differences),
        repricing=tuple(sorted({run for run, _low, _high in repricing})),
    )


def _rollup_differences(
    rows: Mapping[int, WindowRows],
    windows: Mapping[int, Sums],
    rollups: Mapping[Rollup, Sums],
    from_s: int,
    repricing: Sequence[tuple[str, int, int]],
) -> Iterable[WindowDifference]:
    """Yield days of rollups that hold neither what their rows say nor what their windows hold.

    A rollup that follows windows which differ from their rows is no fault of its own.
    """
    rows_of = _by_day(rows, WindowRows(), from_s)
    windows_of = _by_day(windows, _NOTHING, from_s)
    for table in ROLLUPS:
        known = {day for rollup, day in rollups if rollup == table}
        for day_s in sorted({*rows_of, *windows_of, *known}):
            found = rows_of.get(day_s, WindowRows()).without_tokens()
            held = windows_of.get(day_s, _NOTHING)._replace(tokens=0)
            stored = rollups.get(Rollup(table, day_s), _NOTHING)
            is_repriced = any(low < day_s + _DAY_S and day_s < high for _r, low, high in repricing)
            if not (is_repriced or found.allows(stored) or stored == held):
                yield WindowDifference(table, day_s, found, stored)


def _by_day(found: Mapping[int, _Summed], nothing: _Summed, from_s: int) -> dict[int, _Summed]:
    """Add up by day what is known by window, from a whole day on."""
    days: dict[int, _Summed] = {}
    for start_s, sums in found.items():
        if start_s >= from_s:
            day_s = start_s // _DAY_S * _DAY_S
            days[day_s] = days.get(day_s, nothing).plus(sums)
    return days
