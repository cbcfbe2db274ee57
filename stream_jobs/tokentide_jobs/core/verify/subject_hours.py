"""Sums by subject against raw rows: in each hour, every kind holds what its rows say.

Which rows a kind counts stands on the rows themselves, so that a kind may be switched on and off. A
subject may stand under `(other)`, therefore kinds are compared and not single subjects. Rows in
flight are allowed for as in `windows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tokentide_jobs.core.tables import SUBJECTS, SUBJECTS_S
from tokentide_jobs.core.verify.windows import Sums, WindowDifference, WindowRows

__all__ = ["KindHour", "subject_differences"]


class KindHour(NamedTuple):
    """One kind of subject in one hour."""

    kind: str
    start_s: int


def subject_differences(
    rows: Mapping[KindHour, WindowRows],
    stored: Mapping[KindHour, Sums],
    repricing: Sequence[tuple[str, int, int]] = (),
) -> Iterator[WindowDifference]:
    """Yield hours in which the sums of a kind cannot be those of its rows.

    Args:
        rows: Raw rows by kind and hour, read after the sums; events are requests.
        stored: Sums of SUBJECTS.
        repricing: Parts of repricings under way as (run, from, until), epoch s: money moves there.
    """
    for hour in sorted({*rows, *stored}):
        end_s = hour.start_s + SUBJECTS_S
        if any(low < end_s and hour.start_s < high for _run, low, high in repricing):
            continue
        found, held = rows.get(hour, WindowRows()), stored.get(hour, Sums())
        if not found.allows(held):
            yield WindowDifference(f"{SUBJECTS} of kind {hour.kind}", hour.start_s, found, held)
