"""What is normal for an agent: exact 99th percentiles over its latest finished runs.

An agent with few runs has the start values of the rules, or what is normal in its tenant where that
is more: that others are cheap proves nothing about it. A run is learned as if it had stopped at its
limit: one runaway does not make runaways normal, and a lasting change is learned.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar, cast

from tokentide_jobs.core.guard.ring import MAX_INT64
from tokentide_jobs.core.guard.rules import RATE_WINDOWS_US, GuardRules

__all__ = [
    "FIGURES",
    "KEPT_RUNS",
    "LEVELS",
    "STALLED",
    "WHOLE",
    "Basis",
    "Figures",
    "Level",
    "Levels",
    "Limit",
]

_Name = TypeVar("_Name", str, tuple[str, str])

KEPT_RUNS: Final = 500
"""Latest finished runs of a level: five of them spent more than the 99th percentile."""
LEVELS: Final = 2_000
"""Agents, and tenants, whose levels are kept; the one that learned nothing longest makes room."""
Basis = Literal["agent", "tenant", "start", "floor", "budget"]
Figures = tuple[int, ...]
"""Of one run: its peak spend of every rate window, the spend of the whole run, and the peak of ten
minutes on steps that do not get on."""
WHOLE: Final = len(RATE_WINDOWS_US)
"""Where a run's whole spend stands in its figures."""
STALLED: Final = WHOLE + 1
"""Where its spend on steps that do not get on stands."""
FIGURES: Final = STALLED + 1
"""How many there are."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a run may spend, and why.

    Attributes:
        pico_usd: Spend above it is a verdict.
        basis: What it comes from: a learned level, the start value, the floor, or the set budget.
        runs: Finished runs of that level; for the start value, those of the agent.
        p99_pico_usd: Their 99th percentile; 0 where the level knows too few.
    """

    pico_usd: int
    basis: Basis
    runs: int
    p99_pico_usd: int = 0


class Level:
    """Figures of the latest finished runs of one agent or tenant.

    Attributes:
        figures: Figures of runs, one run after the other.
        next_place: Where the next run is written once there are `KEPT_RUNS`.
    """

    __slots__ = ("_p99", "figures", "next_place")

    def __init__(self, figures: Iterable[int] = (), next_place: int = 0) -> None:
        self.figures = array("q", figures)
        self.next_place = next_place
        self._p99: Figures = ()

    @property
    def runs(self) -> int:
        """Return how many runs are known."""
        return len(self.figures) // FIGURES

    def learn(self, figures: Figures) -> None:
        """Add a finished run; the oldest one of a full level makes room."""
        at = self.next_place * FIGURES
        self.figures[at : at + FIGURES] = array("q", (min(MAX_INT64, f) for f in figures))
        self.next_place = (self.next_place + 1) % KEPT_RUNS
        self._p99 = ()

    def p99(self) -> Figures:
        """Return the 99th percentile of each figure by nearest rank: one that a run really had."""
        if not self._p99:
            rank = -(-99 * self.runs // 100)
            self._p99 = tuple(
                sorted(self.figures[place::FIGURES])[rank - 1] for place in range(FIGURES)
            )
        return self._p99


class Levels:
    """Levels of all agents and tenants.

    Args:
        rules: Floors, factors and how many runs make a level.
    """

    def __init__(self, rules: GuardRules) -> None:
        self._rules = rules
        self.agents: dict[tuple[str, str], Level] = {}
        self.tenants: dict[str, Level] = {}

    def learn(self, tenant: str, agent: str, figures: Figures) -> None:
        """Learn a finished run for its agent and its tenant.

        Args:
            tenant: Whose run it was.
            agent: Who ran.
            figures: Of the run.
        """
        limits = (self.limit(tenant, agent, place).pico_usd for place in range(FIGURES))
        figures = tuple(map(min, figures, limits))
        _learn(self.agents, (tenant, agent), figures)
        _learn(self.tenants, tenant, figures)

    def limit(self, tenant: str, agent: str, place: int) -> Limit:
        """Return the limit of one figure for a run of an agent.

        Args:
            tenant: Whose run it is.
            agent: Who runs.
            place: A rate window by its number, `WHOLE` or `STALLED`.
        """
        rules = self._rules
        is_whole = place == WHOLE
        own = self.agents.get((tenant, agent))
        if is_whole and rules.budget_pico_usd is not None:
            return Limit(rules.budget_pico_usd, "budget", own.runs if own else 0)
        start = rules.budget_start_pico_usd if is_whole else rules.rate_start_pico_usd
        floor = rules.budget_floor_pico_usd if is_whole else rules.rate_floor_pico_usd
        factor = rules.budget_factor_milli if is_whole else rules.rate_factor_milli
        for basis, level, least in (
            ("agent", own, floor),
            ("tenant", self.tenants.get(tenant), start),
        ):
            if level is None or level.runs < rules.min_runs:
                continue
            p99 = level.p99()[place]
            learned = p99 * factor // 1_000
            if learned >= least:
                return Limit(learned, cast("Basis", basis), level.runs, p99)
            if level is own:
                return Limit(floor, "floor", level.runs, p99)
        return Limit(start, "start", own.runs if own else 0)


def _learn(levels: dict[_Name, Level], name: _Name, figures: Figures) -> None:
    level = levels.pop(name, None) or Level()
    level.learn(figures)
    levels[name] = level  # the latest to learn is the last
    if len(levels) > LEVELS:
        del levels[next(iter(levels))]
