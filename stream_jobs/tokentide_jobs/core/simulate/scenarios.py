"""The scenarios by name: the rows of the fault table among clean neighbours, and whole stories.

A story is what operators meet besides single faults: deploys, an outage at a provider, a launch,
the end of a month, an agent in a loop, and plain days on which nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.simulate.fault_table import FAULT_TABLE, ROWS_BEFORE_END_DAYS, TableRow
from tokentide_jobs.core.simulate.faults import ConditionChange, GroupFault
from tokentide_jobs.core.simulate.population import KeyGroup

__all__ = ["SCENARIOS", "Scenario"]

_HOUR: Final = 60
_DAY: Final = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who is there, what happens to whom, and what should be found."""

    name: str
    title: str
    groups: tuple[KeyGroup, ...]
    faults: tuple[GroupFault, ...]
    expected: str
    """In words."""
    days: int = 15
    least_days: int = 9
    """A week to learn from, and the faults."""


_NEIGHBOURS: Final = (
    KeyGroup("busy", "high", 2),
    KeyGroup("steady", "mid", 2),
    KeyGroup("quiet", "low", 2),
)


def _of_row(row: TableRow) -> Scenario:
    watched = " or ".join(row.watched)
    return Scenario(
        name=row.name,
        title=row.title,
        groups=(row.group(3), *_NEIGHBOURS),
        faults=tuple(row.faults()),
        expected=f"an alarm of {watched} for each {row.name}-…, none for the neighbours",
        days=8 + ROWS_BEFORE_END_DAYS,
        least_days=8 + ROWS_BEFORE_END_DAYS,
    )


def _scenario(
    name: str,
    title: str,
    group: KeyGroup,
    effects: tuple[ConditionChange, ...],
    expected: str,
    *,
    minutes: int,
    before_end: int,
    ramp: int = 0,
    scattered: int = 0,
) -> Scenario:
    fault = GroupFault(group.name, title, effects, minutes, before_end, scattered, ramp)
    return Scenario(
        name, title, (group, *_NEIGHBOURS), (fault,), expected, days=10 + before_end // _DAY,
        least_days=8 + before_end // _DAY,
    )  # fmt: skip


def _loop(name: str, calls: float, tokens: float, what: str, minutes: int) -> Scenario:
    return _scenario(
        name, what, KeyGroup("tenant", "low", 3),
        (ConditionChange("requests", "plus", calls), ConditionChange("input_tokens", "to", tokens)),
        "requests, tokens_per_request or cost_usd_per_minute of each tenant",
        minutes=minutes, before_end=20 * _HOUR,
    )  # fmt: skip


_SCENARIOS: Final = (
    Scenario(
        "clean", "plain days: seasons, noise, blips, daily jobs and gaps, no fault",
        (KeyGroup("busy", "high", 20), KeyGroup("steady", "mid", 20), KeyGroup("quiet", "low", 20)),
        (), "no alarm",
    ),
    _scenario(
        "deploy-small", "a deploy makes answers 8 % longer and 5 % slower, for good",
        KeyGroup("service", "high", 4),
        (
            ConditionChange("output_tokens", "times", 1.08),
            ConditionChange("latency_ms", "times", 1.05),
        ),
        "no alarm: below every effect that counts", minutes=10 * _DAY, before_end=2 * _DAY,
    ),
    _scenario(
        "deploy-large", "a deploy makes prompts 1.6 times as long, for good",
        KeyGroup("service", "high", 4), (ConditionChange("input_tokens", "times", 1.6),),
        "tokens_per_request of each service, and after a day its end as the new normal",
        minutes=10 * _DAY, before_end=3 * _DAY,
    ),
    _scenario(
        "outage", "a provider fails for 25 minutes: 40 tenants lose 70 % of their calls at once",
        KeyGroup("tenant", "mid", 40),
        (ConditionChange("errors", "to", 0.7), ConditionChange("latency_ms", "times", 3)),
        "error_ratio of all 40 tenants within a few minutes", minutes=25, before_end=12 * _HOUR,
    ),
    _scenario(
        "launch", "launch day: traffic grows to eightfold in 6 hours and stays",
        KeyGroup("product", "mid", 3), (ConditionChange("requests", "times", 8),),
        "a rise of requests, and after a day its end as the new normal",
        minutes=10 * _DAY, before_end=3 * _DAY, ramp=6 * _HOUR,
    ),
    _scenario(
        "month-end", "the month-end batch: 6 times the calls with prompts twice as long, 5 hours",
        KeyGroup("billing", "mid", 3),
        (ConditionChange("requests", "times", 6), ConditionChange("input_tokens", "times", 2)),
        "requests, cost_usd_per_minute and tokens_per_request of each billing key",
        minutes=5 * _HOUR, before_end=20 * _HOUR,
    ),
    _loop("agent-fast", 45, 45_000, "an agent calls 45 times a minute, for 9 hours", 554),
    _loop("agent-large", 1.5, 190_000,
          "an agent calls every 40 seconds with 190,000 tokens, overnight", 8 * _HOUR),
    _loop("agent-slow", 6, 20_000, "two agents talk to each other, 6 calls a minute", 18 * _HOUR),
    _scenario(
        "refusals", "a new policy refuses 12 % of requests", KeyGroup("service", "mid", 4),
        (ConditionChange("refused", "to", 0.12),), "refused_ratio of each service",
        minutes=4 * _HOUR, before_end=20 * _HOUR,
    ),
    _scenario(
        "truncation", "a token limit cuts 40 % of answers", KeyGroup("service", "mid", 4),
        (ConditionChange("truncated", "to", 0.4),), "truncated_ratio of each service",
        minutes=4 * _HOUR, before_end=20 * _HOUR,
    ),
    _scenario(
        "slow-output", "tokens arrive at half the speed", KeyGroup("service", "high", 4),
        (ConditionChange("output_tps", "times", 0.5),), "output_tps_p50 of each service",
        minutes=2 * _HOUR, before_end=20 * _HOUR,
    ),
    _scenario(
        "feedback", "users are displeased: 25 points fewer thumbs up",
        KeyGroup("service", "high", 4), (ConditionChange("feedback", "plus", -0.25),),
        "feedback_score of each service",
        minutes=6 * _HOUR, before_end=20 * _HOUR,
    ),
)  # fmt: skip

SCENARIOS: Final = {
    scenario.name: scenario for scenario in (*_SCENARIOS, *(_of_row(row) for row in FAULT_TABLE))
}
"""Every scenario by its name."""
