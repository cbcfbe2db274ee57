"""What is kept of one live run: sums, the spend of its last minutes, and its latest steps."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from tokentide_jobs.core.guard.levels import Figures
from tokentide_jobs.core.guard.ring import SpendRing
from tokentide_jobs.core.guard.rules import BUCKET_US, RATE_WINDOWS_US
from tokentide_jobs.core.guard.standstill import Standstill
from tokentide_jobs.core.guard.steps import Step
from tokentide_jobs.core.guard.streak import Streak
from tokentide_jobs.core.tables import MINUTE_US

__all__ = ["RunState"]

_LAST_TOOLS = 5


@dataclass(slots=True)
class RunState:
    """One live run. Sums, times, names and peaks do not depend on the order of its steps.

    Attributes:
        first_us: Event time of the earliest step.
        last_us: Event time of the newest step.
        agent: Agent of the earliest step that names one.
        agent_us: Event time of that step.
        user: User of the earliest step that names one.
        user_us: Event time of that step.
        spend_pico_usd: Everything so far.
        tokens: Input and output.
        calls: Calls.
        errors: Failed calls.
        ring: Spend of the last minutes.
        streak: Repeated steps.
        standstill: Steps that do not get on.
        tools: (event time, tool) of the last tools, oldest first.
        broken: Rules this run broke already.
    """

    first_us: int
    last_us: int
    agent: str = ""
    agent_us: int = 0
    user: str = ""
    user_us: int = 0
    spend_pico_usd: int = 0
    tokens: int = 0
    calls: int = 0
    errors: int = 0
    ring: SpendRing = field(default_factory=SpendRing)
    streak: Streak = field(default_factory=Streak)
    standstill: Standstill = field(default_factory=Standstill)
    tools: list[tuple[int, str]] = field(default_factory=list)
    broken: tuple[str, ...] = ()

    def add(self, step: Step) -> tuple[int, ...]:
        """Add a step.

        Returns:
            For each rate window, the highest spend of those that hold the step.
        """
        at_us = step.at_us
        self.streak.add(
            step.fingerprint,
            step.cost_pico_usd,
            is_late=at_us < self.last_us,
            is_error=step.errors > 0,
        )
        self.first_us = min(self.first_us, at_us)
        self.last_us = max(self.last_us, at_us)
        if step.agent and (not self.agent or (at_us, step.agent) < (self.agent_us, self.agent)):
            self.agent, self.agent_us = step.agent, at_us
        if step.user and (not self.user or (at_us, step.user) < (self.user_us, self.user)):
            self.user, self.user_us = step.user, at_us
        self.spend_pico_usd += step.cost_pico_usd
        self.tokens += step.tokens
        self.calls += step.calls
        self.errors += step.errors
        if step.tool:
            insort(self.tools, (at_us, step.tool))
            del self.tools[:-_LAST_TOOLS]
        return self.ring.add(at_us, step.cost_pico_usd, step.calls)

    @property
    def figures(self) -> Figures:
        """Return what is learned of the run once it is finished."""
        return (*self.ring.peaks, self.spend_pico_usd, self.standstill.peak)

    def per_minute_pico_usd(self, recent_pico_usd: int) -> int:
        """Return spend a minute, given the spend of the longest rate window."""
        lived_us = max(MINUTE_US, self.last_us - self.first_us + BUCKET_US)
        return recent_pico_usd * MINUTE_US // min(RATE_WINDOWS_US[-1], lived_us)
