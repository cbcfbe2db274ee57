"""Run simulated windows through the detectors, and hold what they found against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tokentide_jobs.core.detect.alarms import AlarmChange, Extreme
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import observe
from tokentide_jobs.core.detect.window_view import ClosedWindow
from tokentide_jobs.core.simulate.conditions import MINUTES, days_of, split
from tokentide_jobs.core.simulate.draws import draw
from tokentide_jobs.core.simulate.faults import GroupFault, KeyFault, inject, place
from tokentide_jobs.core.simulate.population import KeyGroup, Population, populate
from tokentide_jobs.core.tables import DAY_US, HOUR_US, MINUTE_US

__all__ = ["AFTERMATH_MINUTES", "Found", "closed_windows", "run"]

AFTERMATH_MINUTES: Final = 60
"""An alarm this soon after an incident belongs to it: recovery is a change, too."""
_GAPS_PER_DAY: Final = 1 / 3
_LONGEST_GAP: Final = 30
_INCOMPLETE: Final = 0.002


@dataclass(frozen=True, slots=True)
class Found:
    """What a run came to."""

    population: Population
    incidents: tuple[KeyFault, ...]
    begin_us: int
    end_us: int
    alarms: tuple[AlarmChange, ...]
    extremes: tuple[Extreme, ...]
    metric_key_windows: int
    """Values that were judged: present ones, after the learning time."""

    def minute_of(self, at_us: int) -> int:
        """Return the minute of the run."""
        return (at_us - self.begin_us) // MINUTE_US

    def of_incident(self, incident: KeyFault) -> list[AlarmChange]:
        """Return the alarms that opened in an incident or soon after it, the first first."""
        return [
            alarm
            for alarm in self.alarms
            if alarm.change == "opened"
            and alarm.key == incident.key
            and incident.begin
            <= self.minute_of(alarm.window_start_us)
            < incident.end + AFTERMATH_MINUTES
        ]

    def false_alarms(self) -> list[AlarmChange]:
        """Return the alarms, of grown baselines, that opened where nothing had happened."""
        explained = {
            id(alarm) for incident in self.incidents for alarm in self.of_incident(incident)
        }
        return [
            alarm
            for alarm in self.alarms
            if alarm.change == "opened" and not alarm.is_young and id(alarm) not in explained
        ]


def closed_windows(
    population: Population,
    incidents: Sequence[KeyFault],
    days: int,
    random: np.random.Generator,
    window_s: int = 60,
) -> Iterator[ClosedWindow]:
    """Yield the windows of a run, one by one; gaps are missing, some are incomplete."""
    parts = 60 // window_s
    for place_of_day, conditions in enumerate(days_of(population, days, random)):
        inject(incidents, conditions, place_of_day * MINUTES)
        finer = split(conditions, parts) if parts > 1 else conditions
        values, counts = observe(*draw(population, finer, random), window_s)
        is_complete = random.uniform(0, 1, MINUTES * parts) >= _INCOMPLETE
        gap = range(0)
        if random.uniform() < _GAPS_PER_DAY:
            begin = int(random.integers(0, MINUTES))
            gap = range(begin, begin + int(random.integers(1, _LONGEST_GAP + 1)))
        for window in range(MINUTES * parts):
            if window // parts not in gap:
                yield ClosedWindow(
                    start_us=conditions.day * DAY_US + window * window_s * 1_000_000,
                    keys=population.keys,
                    values=values[:, window],
                    counts=counts[:, window],
                    is_complete=bool(is_complete[window]),
                )


def run(
    groups: Sequence[KeyGroup],
    faults: Sequence[GroupFault],
    days: int,
    seed: int,
    parameters: Parameters,
    moved: Callable[[int], None] = lambda _minutes: None,
) -> Found:
    """Simulate, detect, and return both the findings and the truth.

    Args:
        groups: Who is there.
        faults: What happens to whom.
        days: Length of the run, which ends with them.
        seed: Of everything that is drawn.
        parameters: Of the detectors.
        moved: Is called now and then with the minutes that are done.
    """
    random = np.random.default_rng(seed)
    population = populate(groups, random)
    incidents = place(faults, population, days, random)
    detectors = Detectors(parameters)
    alarms: list[AlarmChange] = []
    extremes: list[Extreme] = []
    begin_us, start_us, judged_values = -1, 0, 0
    length_s = parameters.window_s
    for window in closed_windows(population, incidents, days, random, length_s):
        start_us = window.start_us
        begin_us = start_us // DAY_US * DAY_US if begin_us < 0 else begin_us
        minutes = (start_us - begin_us) // MINUTE_US
        if start_us % HOUR_US == 0:
            moved(minutes)
        judged = detectors.judge(window)
        alarms += judged.alarms
        extremes += judged.extremes
        if start_us - begin_us >= parameters.learning_s * 1_000_000:
            judged_values += int(np.count_nonzero(~np.isnan(window.values)))
    return Found(
        population, tuple(incidents), begin_us, start_us + length_s * 1_000_000, tuple(alarms),
        tuple(extremes), judged_values,
    )  # fmt: skip
