"""What the guard found of a run: one sentence, and the same in fields."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from tokentide_jobs.core.guard.levels import Limit
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.tables import MINUTE_US

__all__ = ["Rule", "Verdict"]

Rule = Literal["spend_rate", "budget", "repeats", "no_growth"]

_PICO_PER_CENT = 10_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A run that broke a rule, at the step that broke it. A run breaks each rule once.

    Attributes:
        key: The run.
        agent: Who runs: the agent of its earliest named step.
        user: Hashed user, or empty.
        rule: Which rule.
        at_us: Event time of the step.
        value: Pico-USD spent, or repeated steps (`repeats`).
        limit: The limit in pico-USD and where it comes from; None for `repeats`.
        allowed: The limit as a number in the unit of `value`.
        window_us: Span of the spend for `spend_rate` and `no_growth`, else 0.
        cycle: Steps of the repeated cycle for `repeats`, else 0.
        repeats_pico_usd: What the repeated steps cost for `repeats`, else 0.
        stalled_steps: Steps whose input had not grown for `no_growth`, else 0.
        spend_pico_usd: Spend of the run so far.
        per_minute_pico_usd: Spend a minute over the last ten, or since the run began.
        calls: Calls of the run so far.
        recent_calls: Calls of the last ten minutes.
        tools: Its last tools, the latest first.
        began_us: Event time of its earliest step.
        step: The step that broke the rule: who called, and with what.
    """

    key: RunKey
    agent: str
    user: str
    rule: Rule
    at_us: int
    value: int
    limit: Limit | None = None
    allowed: int
    window_us: int = 0
    cycle: int = 0
    repeats_pico_usd: int = 0
    stalled_steps: int = 0
    spend_pico_usd: int
    per_minute_pico_usd: int
    calls: int
    recent_calls: int
    tools: tuple[str, ...] = ()
    began_us: int
    step: Step

    @property
    def about(self) -> tuple[tuple[str, str], ...]:
        """Return names and values of what the run does, as it did when it broke the rule."""
        step = self.step
        found = (
            ("tenant", self.key.tenant), ("service", step.service),
            ("environment", step.environment), ("agent", self.agent), ("agent", step.agent),
            ("model", step.model), ("prompt_name", step.prompt_name),
            ("prompt_version", step.prompt_version),
        )  # fmt: skip
        return tuple((name, value) for name, value in found if value)

    def to_dict(self) -> dict[str, Any]:
        """Return the sentence and every field in the form of JSON; money as exact USD texts."""
        is_money = self.rule != "repeats"
        limit = self.limit
        return {
            "sentence": self.sentence,
            "tenant": self.key.tenant,
            "run": self.key.run,
            "agent": self.agent,
            "user": self.user,
            "rule": self.rule,
            "at_us": self.at_us,
            "value": usd(self.value) if is_money else self.value,
            "allowed": usd(self.allowed) if is_money else self.allowed,
            "learned_from": limit.basis if limit else "",
            "learned_runs": limit.runs if limit else 0,
            "learned_p99_usd": usd(limit.p99_pico_usd) if limit else usd(0),
            "window_s": self.window_us // 1_000_000,
            "cycle": self.cycle,
            "repeats_usd": usd(self.repeats_pico_usd),
            "stalled_steps": self.stalled_steps,
            "spend_usd": usd(self.spend_pico_usd),
            "per_minute_usd": usd(self.per_minute_pico_usd),
            "calls": self.calls,
            "recent_calls": self.recent_calls,
            "tools": list(self.tools),
        }

    @property
    def sentence(self) -> str:
        """Return what happened, why it is too much, and what the run did so far."""
        so_far = (
            f"{_dollars(self.spend_pico_usd)} in {self.calls:,} "
            f"call{'' if self.calls == 1 else 's'} so far, "
            f"{_dollars(self.per_minute_pico_usd)} a minute"
        )
        tools = f"; last tools: {_listed(self.tools)}" if self.tools else ""
        return f"{self._who} {self._what}; {so_far}{tools}"

    @property
    def _who(self) -> str:
        of = [
            f"agent {self.agent}" if self.agent else "an agent without a name",
            *([f"tenant {self.key.tenant}"] if self.key.tenant else []),
            *([f"user {self.user}"] if self.user else []),
        ]
        return f"run {self.key.run} ({', '.join(of)})"

    @property
    def _what(self) -> str:
        if self.rule == "repeats":
            what = "one step" if self.cycle == 1 else f"a cycle of {self.cycle} steps"
            return (
                f"repeats {what}: {self.value:,} repeated steps in a row for "
                f"{_dollars(self.repeats_pico_usd)}, and {self.allowed:,} are too many"
            )
        minutes = f" in {self.window_us // MINUTE_US} minutes" if self.window_us else " in all"
        on = (
            f" on {self.stalled_steps:,} steps whose input had not grown"
            if self.stalled_steps
            else ""
        )
        return f"spent {_dollars(self.value)}{minutes}{on}, more than {self.reason}"

    @property
    def reason(self) -> str:
        """Return the limit and where it comes from; empty for `repeats`."""
        limit = self.limit
        if limit is None:
            return ""
        amount = _dollars(limit.pico_usd)
        if limit.basis == "budget":
            return f"the budget of {amount} a run"
        if limit.basis == "start":
            return f"the start value of {amount} ({limit.runs:,} finished runs of the agent known)"
        whose = f"runs of agent {self.agent}" if limit.basis == "agent" else "runs of the tenant"
        p99 = f"99% of the last {limit.runs:,} {whose} stayed at or below"
        if limit.basis == "floor":
            return f"the floor of {amount} (99% of the last {limit.runs:,} runs stayed below)"
        times = limit.pico_usd / limit.p99_pico_usd
        return f"{amount} ({times:.3g} times {_dollars(limit.p99_pico_usd)}: {p99} that)"


def _listed(names: tuple[str, ...]) -> str:
    """Return names separated by commas, one in a row many times once: `search x4, read`."""
    groups = ((name, len(list(same))) for name, same in groupby(names))
    return ", ".join(f"{name} x{times}" if times > 1 else name for name, times in groups)


def _dollars(pico_usd: int) -> str:
    cents = (pico_usd + _PICO_PER_CENT // 2) // _PICO_PER_CENT
    return f"${cents // 100:,}.{cents % 100:02d}"
