"""How fast a budget burns: spend of a stretch beside what even spending of the whole amount allows.

Two stretches per rule, as the SRE workbook has it for error budgets: the long one shows that it
matters, the short one that it is still going on. A budget for money differs in one point: it is
meant to be used up, evenly at best, so that a rate of 1 is normal and of 2 on weekdays is not an
alarm. The workbook's factors for pages stand (2 % of a month in an hour, 5 % in six hours); its
ticket at 1 over three days is one at 2 here. Shorter periods have shorter stretches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.period import PeriodKind
from tokentide_jobs.core.budget.reads import WindowSpend
from tokentide_jobs.core.tables import DAY_S, HOUR_S, MINUTE_S

__all__ = ["BURN_RULES", "BurnRate", "BurnRule", "burn_rates"]


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Both stretches burn faster than `factor`: a page or a ticket."""

    long_s: int
    short_s: int
    factor: float
    severity: Literal["page", "ticket"]


BURN_RULES: Final[Mapping[PeriodKind, tuple[BurnRule, ...]]] = {
    "month": (
        BurnRule(HOUR_S, 5 * MINUTE_S, 14.4, "page"),
        BurnRule(6 * HOUR_S, 30 * MINUTE_S, 6.0, "page"),
        BurnRule(3 * DAY_S, 6 * HOUR_S, 2.0, "ticket"),
    ),
    "week": (
        BurnRule(HOUR_S, 5 * MINUTE_S, 14.4, "page"),
        BurnRule(6 * HOUR_S, 30 * MINUTE_S, 6.0, "page"),
        BurnRule(DAY_S, 2 * HOUR_S, 2.0, "ticket"),
    ),
    "day": (
        BurnRule(30 * MINUTE_S, 5 * MINUTE_S, 14.4, "page"),
        BurnRule(2 * HOUR_S, 10 * MINUTE_S, 6.0, "page"),
        BurnRule(6 * HOUR_S, 30 * MINUTE_S, 2.0, "ticket"),
    ),
    "hour": (BurnRule(10 * MINUTE_S, 2 * MINUTE_S, 3.0, "page"),),
}


@dataclass(frozen=True, slots=True)
class BurnRate:
    """A rule and the two rates it looks at, in multiples of even spending."""

    rule: BurnRule
    long: float
    short: float

    @property
    def is_burning(self) -> bool:
        """Tell whether both stretches exceed the factor."""
        return min(self.long, self.short) > self.rule.factor


def burn_rates(budget: Budget, spend: Sequence[WindowSpend], now_us: int) -> tuple[BurnRate, ...]:
    """Return the rates of every rule of the budget's period.

    A stretch may begin before the period did: it asks how fast money goes, not how much is left. It
    begins with a stored window, and is as long as from there until now.

    Args:
        budget: Its period and amount are the measure.
        spend: By window, of the longest stretch at least.
        now_us: The present.
    """
    even = budget.amount_pico_usd / budget.at(now_us).length_us

    def rate(stretch_s: int) -> float:
        begin_us = now_us - stretch_s * 1_000_000
        within = [one for one in spend if one.end_us > begin_us and one.start_us < now_us]
        if not within:
            return 0.0
        first_us = min(begin_us, *(one.start_us for one in within))
        return sum(one.pico_usd for one in within) / (now_us - first_us) / even

    return tuple(
        BurnRate(rule, rate(rule.long_s), rate(rule.short_s)) for rule in BURN_RULES[budget.period]
    )
