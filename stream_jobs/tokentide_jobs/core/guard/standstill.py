"""Steps that do not get on: their input is no larger than that of the step before.

An agent that works adds what it learned to its context, so nearly each step has more input than the
one before it; steps that begin again, and often, do not. A step is compared with the last one of
its agent and prompt. Failed calls and those that return no text report no size and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokentide_jobs.core.guard.ring import SpendRing
from tokentide_jobs.core.guard.steps import Step

__all__ = ["STALLED_STEPS", "Standstill"]

STALLED_STEPS: Final = 4
"""Fewer of them within ten minutes say nothing: a context is cut short now and then."""
_KEPT: Final = 4
"""Agents and prompts of one run whose last size is kept; the one seen longest ago makes room."""


class Standstill:
    """What such steps of one run cost.

    Attributes:
        sizes: Input of the last step, by agent and prompt, the latest last.
        ring: Their spend.
        peak: Highest spend of ten minutes that held STALLED_STEPS of them.
    """

    __slots__ = ("peak", "ring", "sizes")

    def __init__(
        self, sizes: Mapping[str, int] | None = None, ring: SpendRing | None = None, peak: int = 0
    ) -> None:
        self.sizes = dict(sizes or {})
        self.ring = ring
        self.peak = peak

    def add(self, step: Step, *, is_late: bool) -> tuple[int, int]:
        """Add a step.

        Args:
            step: Of the run.
            is_late: Earlier than the newest step: it is compared with none.

        Returns:
            What steps that do not get on cost in ten minutes with this one, and how many they are;
            zeros where this is none, or they are too few.
        """
        size = step.input_tokens
        if size is None or is_late:
            return 0, 0
        name = f"{step.agent}\0{step.prompt_name}\0{step.prompt_version}"
        before = self.sizes.pop(name, -1)
        self.sizes[name] = size
        if len(self.sizes) > _KEPT:
            del self.sizes[next(iter(self.sizes))]
        if size > before:
            return 0, 0
        if self.ring is None:
            self.ring = SpendRing()
        spend = self.ring.add(step.at_us, step.cost_pico_usd, step.calls)[-1]
        steps = self.ring.recent_calls()
        if steps < STALLED_STEPS:
            return 0, 0
        self.peak = max(self.peak, spend)
        return spend, steps
