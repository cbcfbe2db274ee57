"""What a stretch of the stream gave rise to, and the ids by which it is the same when repeated.

An id is made of what it names and of nothing else, so a replay finds the same decisions under the
same ids: what is deduplicated by id is stored and sent once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.spend import Notice, PeriodSpend
from tokentide_jobs.core.change.cause import Change
from tokentide_jobs.core.detect.alarms import AlarmChange, Extreme, WindowReport
from tokentide_jobs.core.digest import digest
from tokentide_jobs.core.guard.steps import RunKey
from tokentide_jobs.core.guard.verdict import Verdict
from tokentide_jobs.core.merge.open_windows import WindowFigures
from tokentide_jobs.core.tables import MINUTE_US

__all__ = [
    "Ahead",
    "BudgetNotice",
    "BudgetNow",
    "Decisions",
    "JudgedWindow",
    "RunNow",
    "RunVerdict",
    "alarm_id",
    "extreme_id",
    "verdict_id",
]


@dataclass(frozen=True, slots=True)
class JudgedWindow:
    """One closed window with what was found in it.

    Attributes:
        start_us: Of the window.
        length_us: Of the window.
        sums: What it comes to by key.
        judged: What was found.
        tests: What could have been found in the same minute, in windows of all lengths.
        contributors: Of each alarm that opened, by key and metric: narrower keys with their shares.
        changes: Of the hours before, where an alarm opened: candidate causes.
    """

    start_us: int
    length_us: int
    sums: WindowFigures
    judged: WindowReport
    tests: int = 0
    contributors: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """A rule that a run broke.

    Attributes:
        id: Of run, rule and step.
        verdict: What the guard found.
        is_history: The step lies so far back that stopping the run is no longer possible.
        seen_us: Time of the record that reported it.
        changes: Of the hours before: candidate causes.
    """

    id: str
    verdict: Verdict
    is_history: bool
    seen_us: int
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class BudgetNotice:
    """A threshold that was reached, or a new period after one in which one had been.

    Attributes:
        budget: Of which budget.
        notice: What is to be reported; its id is that of budget, period and threshold.
        is_history: It was reached before watching began, or in a period that is over.
    """

    budget: Budget
    notice: Notice
    is_history: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNow:
    """A run that broke a rule, as it stands now.

    Attributes:
        key: The run.
        at_us: Time of the stream.
        is_over: It is finished, or others took its place in memory: its state is to be taken back.
        agent: Who runs.
        user: Hashed user, or empty.
        rules: Rules that it broke.
        is_to_stop: It spent more than the budget that is configured for runs.
        reason: What was reported of the last one, in one sentence.
        spend_pico_usd: So far.
        per_minute_pico_usd: Over the last ten minutes.
        calls: So far.
        last_step_us: Event time of its newest step.
    """

    key: RunKey
    at_us: int
    is_over: bool
    agent: str = ""
    user: str = ""
    rules: tuple[str, ...] = ()
    is_to_stop: bool = False
    reason: str = ""
    spend_pico_usd: int = 0
    per_minute_pico_usd: int = 0
    calls: int = 0
    last_step_us: int = 0


@dataclass(frozen=True, slots=True)
class BudgetNow:
    """What is spent of a budget in the period that runs now.

    Attributes:
        budget: Of which.
        at_us: Time of the stream.
        spend: Sums of the period and the thresholds that were reached in it.
    """

    budget: Budget
    at_us: int
    spend: PeriodSpend


@dataclass(frozen=True, slots=True)
class Ahead:
    """A record whose times were not accepted: the clock of its writer is ahead.

    Attributes:
        source: Partition of the log that it describes.
        by_us: How far ahead of the database's clock.
    """

    source: LogPartition
    by_us: int


@dataclass(slots=True)
class Decisions:
    """Everything that some records gave rise to, each kind in the order of the stream."""

    windows: list[JudgedWindow] = field(default_factory=list)
    verdicts: list[RunVerdict] = field(default_factory=list)
    notices: list[BudgetNotice] = field(default_factory=list)
    runs: list[RunNow] = field(default_factory=list)
    budgets: list[BudgetNow] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """Records that were passed over: place and reason."""
    ahead: list[Ahead] = field(default_factory=list)

    def extend(self, later: Decisions) -> None:
        """Add what came after."""
        for kind in fields(self):
            getattr(self, kind.name).extend(getattr(later, kind.name))


def alarm_id(alarm: AlarmChange, length_us: int) -> str:
    """Return the id of an alarm's change in a window of that length."""
    named = (alarm.key, alarm.metric, alarm.test, alarm.change, alarm.window_start_us)
    return digest("alarm", *named, *_length_named(length_us))


def extreme_id(extreme: Extreme, length_us: int) -> str:
    """Return the id of an extreme in a window of that length."""
    named = (extreme.key, extreme.metric, extreme.window_start_us)
    return digest("extreme", *named, *_length_named(length_us))


def verdict_id(verdict: Verdict) -> str:
    """Return the id of a verdict: a run breaks a rule at one step."""
    return digest("run", verdict.key.tenant, verdict.key.run, verdict.rule, verdict.at_us)


def _length_named(length_us: int) -> tuple[int, ...]:
    """Return what separates windows of a length from those of a minute, which came first."""
    return () if length_us == MINUTE_US else (length_us,)
