"""How many injected faults were found, and how soon: one line a row of the fault table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.simulate.fault_table import TableRow
from tokentide_jobs.core.simulate.run import Found

__all__ = ["RowRecall", "recall_of", "watched_delays"]

_GRACE_MINUTES: Final = 10
"""An alarm so soon after the end still found the fault."""


@dataclass(frozen=True, slots=True)
class RowRecall:
    """What became of one fault."""

    name: str
    injected: int
    found: int
    median_delay_minutes: float
    """Until the end of the window that raised the alarm; NaN: none was raised."""
    reference_recall: float
    reference_delay_minutes: float

    @property
    def recall(self) -> float:
        """Share of the injected faults that were found."""
        return self.found / self.injected


def watched_delays(found: Found, group: str, watched: Sequence[str]) -> list[float]:
    """Return the delay of each incident of a group, NaN for those that no watched metric found."""
    delays = []
    for incident in found.incidents:
        if incident.fault.group != group:
            continue
        raised = [
            found.minute_of(alarm.window_start_us) + 1 - incident.begin
            for alarm in found.of_incident(incident)
            if alarm.metric in watched
            and found.minute_of(alarm.window_start_us) < incident.end + _GRACE_MINUTES
        ]
        delays.append(float(raised[0]) if raised else math.nan)
    return delays


def recall_of(runs: Sequence[Found], row: TableRow) -> RowRecall:
    """Return what became of one fault in several runs."""
    delays = [delay for run in runs for delay in watched_delays(run, row.name, row.watched)]
    raised = [delay for delay in delays if not math.isnan(delay)]
    return RowRecall(
        name=row.name,
        injected=len(delays),
        found=len(raised),
        median_delay_minutes=statistics.median(raised) if raised else math.nan,
        reference_recall=row.reference_recall,
        reference_delay_minutes=row.reference_delay_minutes,
    )
