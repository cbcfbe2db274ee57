"""Declared faults: what changes, from when, for how long, for which keys.

A fault changes conditions, never observations: chance is on top of it as on everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.simulate.conditions import MINUTES, Conditions
from tokentide_jobs.core.simulate.population import Population

__all__ = ["ConditionChange", "GroupFault", "KeyFault", "inject", "place"]


@dataclass(frozen=True, slots=True)
class ConditionChange:
    """One change of one condition."""

    condition: str
    """A field of Conditions."""
    kind: Literal["times", "to", "plus", "daily"]
    """`daily`: grows by this factor every day."""
    amount: float


@dataclass(frozen=True, slots=True)
class GroupFault:
    """What happens to the keys of one group."""

    group: str
    title: str
    effects: tuple[ConditionChange, ...]
    minutes: int
    before_end_minutes: int
    """Begins so long before the simulation ends."""
    scattered_minutes: int = 0
    """Each key's begins up to so much later; 0: all begin together."""
    ramp_minutes: int = 0
    """Reaches its full size so late."""


@dataclass(frozen=True, slots=True)
class KeyFault:
    """A fault of one key: the truth that alarms are compared with. Minutes are of the run."""

    fault: GroupFault
    key: str
    column: int
    begin: int
    end: int


def place(
    faults: Sequence[GroupFault], population: Population, days: int, random: np.random.Generator
) -> list[KeyFault]:
    """Decide when each key's faults begin."""
    incidents = []
    for fault in faults:
        for column, group in enumerate(population.group_of):
            if group == fault.group:
                delay_minutes = int(random.integers(0, fault.scattered_minutes + 1))
                begin = days * MINUTES - fault.before_end_minutes + delay_minutes
                end = min(begin + fault.minutes, days * MINUTES)
                incidents.append(KeyFault(fault, population.keys[column], column, begin, end))
    return incidents


def inject(incidents: Sequence[KeyFault], conditions: Conditions, first_minute: int) -> None:
    """Change the conditions of one day, in place, by the faults that touch it.

    Args:
        incidents: All of the run.
        conditions: Of the day.
        first_minute: Of the day, counted from the beginning of the run.
    """
    for incident in incidents:
        begin = max(incident.begin - first_minute, 0)
        end = min(incident.end - first_minute, MINUTES)
        if begin >= end:
            continue
        since = np.arange(begin, end) + first_minute - incident.begin
        ramp = incident.fault.ramp_minutes
        weight = np.minimum((since + 1) / ramp, 1.0) if ramp else np.ones(end - begin)
        for effect in incident.fault.effects:
            series = getattr(conditions, effect.condition)[begin:end, incident.column]
            series[:] = _changed(series, effect, weight, since)


def _changed(
    series: NDArray[np.float64],
    effect: ConditionChange,
    weight: NDArray[np.float64],
    since: NDArray[np.int64],
) -> NDArray[np.float64]:
    match effect.kind:
        case "times":
            return series * (1 + weight * (effect.amount - 1))
        case "to":
            return series + weight * (effect.amount - series)
        case "plus":
            return series + weight * effect.amount
        case "daily":
            factor: NDArray[np.float64] = effect.amount ** (since / MINUTES)
            return series * factor
