"""All budgets and what was spent of each, counted as deltas arrive.

What was stored before a budget is watched is given once as a sum, with the offset of every source
up to which it reaches; deltas count from there on. So every request counts once, to the
pico-dollar, whenever a budget is added.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import and_
from typing import Any, Final

import polars as pl

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.spend import BudgetSpend, Spent
from tokentide_jobs.core.decide.decisions import BudgetNotice, BudgetNow
from tokentide_jobs.core.merge.delta_record import Origin
from tokentide_jobs.core.tables import DAY_US
from tokentide_jobs.core.window.exact import MONEY

__all__ = ["SUBJECT_SPEND", "BudgetBook", "CountedBudget"]

SUBJECT_SPEND: Final[Mapping[str, pl.DataType]] = {
    "window_start": pl.Datetime("us", "UTC"),
    "kind": pl.String(),
    "subject": pl.String(),
    "requests": pl.Int64(),
    "unpriced": pl.Int64(),
    "cost_pico_usd": MONEY,
}
"""Columns of a subject delta that are read."""
_ACCEPTED_US: Final = 7 * DAY_US
"""Periods are kept so long after their end, for requests that come late."""


@dataclass(slots=True)
class CountedBudget:
    """One budget with its sums.

    Attributes:
        spend: The sums.
        floors: Offsets by source, up to which the stored sum reached; None: it is not given yet,
            and nothing counts.
        added: Deltas that were added.
        reported_us: Time of the stream when its state was reported last.
        is_changed: There is something to report.
    """

    spend: BudgetSpend
    floors: dict[LogPartition, int] | None = None
    added: int = 0
    reported_us: int = 0
    is_changed: bool = False
    wanted: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Columns of a delta, and what a row that counts has there."""
    condition: pl.Expr | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Make the condition that a row of a delta counts."""
        scope = self.spend.budget.scope
        self.wanted = (
            (("kind", scope.subject[0]), ("subject", scope.subject[1]))
            if scope.subject
            else scope.dimensions
        )
        conditions = [pl.col(name) == text for name, text in self.wanted]
        self.condition = reduce(and_, conditions) if conditions else None


class BudgetBook:
    """The budgets of an installation.

    Attributes:
        counted: By name.
        money_version: Of what was stored when sums were given; empty: none was.
    """

    def __init__(self) -> None:
        self.counted: dict[str, CountedBudget] = {}
        self.money_version = ""

    def replace(self, budgets: Sequence[Budget]) -> None:
        """Take other budgets; those that count the same as before keep their sums."""
        kept = {one.spend.budget.revision: one for one in self.counted.values()}
        counted: dict[str, CountedBudget] = {}
        for budget in budgets:
            known = kept.get(budget.revision)
            if known is None:
                counted[budget.name] = CountedBudget(BudgetSpend(budget))
            else:
                # Thresholds and kind may differ under the same revision.
                known.spend.budget = budget
                counted[budget.name] = known
        self.counted = counted

    def recount(self) -> None:
        """Ask for every sum again: what was missed between is only in what is stored."""
        for counted in self.counted.values():
            counted.floors = None

    def outdate(self, money_version: str) -> None:
        """Ask for every sum again: what is stored has other prices than the deltas had.

        Args:
            money_version: Of what is stored now.
        """
        self.money_version = money_version
        self.recount()

    def unseeded(self) -> list[Budget]:
        """Return the budgets whose stored sum is not given yet."""
        return [one.spend.budget for one in self.counted.values() if one.floors is None]

    def seed(
        self,
        name: str,
        floors: Mapping[LogPartition, int],
        spent: Sequence[Spent],
        now_us: int = 0,
        counted_from_us: int = 0,
    ) -> list[BudgetNotice]:
        """Give the sum of what is stored, instead of what was counted.

        What was reached by the first sum is history; what a later one reaches is news of now.

        Args:
            name: Of the budget.
            floors: By source, the offset up to which `spent` reaches.
            spent: By period, at any instant of it.
            now_us: Time of the stream.
            counted_from_us: Since when `spent` is whole: older periods keep what was counted.
        """
        counted = self.counted[name]
        before, budget = counted.spend, counted.spend.budget
        counted.spend, counted.added = BudgetSpend(budget), 0
        counted.spend.keep_notices(before, counted_from_us)
        counted.floors = dict(floors)
        counted.is_changed = True
        notices = counted.spend.add("stored", 0, 1, spent)
        if before.is_empty:
            return [BudgetNotice(budget, notice, True) for notice in notices]
        found = []
        for notice in notices:
            noticed = replace(notice, at_us=max(notice.at_us, now_us))
            counted.spend.of(notice.period).crossed[notice.percent] = noticed
            found.append(BudgetNotice(budget, noticed, notice.period.end_us <= now_us))
        return found

    def add(self, origin: Origin, rows: pl.DataFrame, now_us: int) -> list[BudgetNotice]:
        """Add the rows of a delta that was not added before."""
        is_of_subjects = "subject" in rows.columns
        present: dict[str, set[str]] = {}
        found: list[BudgetNotice] = []
        for counted in self.counted.values():
            budget, floors = counted.spend.budget, counted.floors
            if (budget.scope.subject is not None) != is_of_subjects or floors is None:
                continue
            if origin.start < floors.get(origin.source, 0):
                continue
            # Most deltas hold nothing of most budgets: a set tells it in a hundredth of the time.
            if not all(text in _texts(present, rows, name) for name, text in counted.wanted):
                continue
            spent = _spent(rows, counted.condition)
            if not spent:
                continue
            notices = counted.spend.add("deltas", counted.added, counted.added + 1, spent)
            counted.added += 1
            counted.is_changed = True
            found += [BudgetNotice(budget, one, one.period.end_us <= now_us) for one in notices]
        return found

    def advance(self, now_us: int) -> list[BudgetNotice]:
        """Return the notices of periods that began."""
        found = []
        for counted in self.counted.values():
            if counted.floors is None:
                continue
            for notice in counted.spend.advance(now_us, now_us - _ACCEPTED_US):
                counted.is_changed = True
                found.append(BudgetNotice(counted.spend.budget, notice, False))
        return found

    def reported(self, now_us: int, every_us: int) -> list[BudgetNow]:
        """Return budgets whose sums changed and were not reported for so long; now they are."""
        found = []
        for counted in self.counted.values():
            if counted.is_changed and now_us - counted.reported_us >= every_us:
                counted.reported_us, counted.is_changed = now_us, False
                found.append(_now(counted.spend, now_us))
        return found

    def standing(self, now_us: int) -> list[BudgetNow]:
        """Return every budget whose sum is known, as it stands; nothing counts as reported."""
        known = (one.spend for one in self.counted.values() if one.floors is not None)
        return [_now(spend, now_us) for spend in known]

    def to_rows(self) -> list[Any]:
        """Return everything but the budgets themselves as plain values."""
        return [
            [
                counted.spend.budget.revision,
                counted.spend.to_rows(),
                None
                if counted.floors is None
                else [[s.log_id, s.topic, s.partition, end] for s, end in counted.floors.items()],
                counted.added,
                counted.reported_us,
                counted.is_changed,
            ]
            for counted in self.counted.values()
        ]

    def restore(self, rows: list[Any]) -> None:
        """Take up the sums of the budgets that are here; others are forgotten."""
        by_revision = {row[0]: row[1:] for row in rows}
        for name, counted in self.counted.items():
            found = by_revision.get(counted.spend.budget.revision)
            if found is None:
                continue
            spend, floors, added, reported_us, is_changed = found
            self.counted[name] = CountedBudget(
                BudgetSpend.from_rows(counted.spend.budget, spend),
                None if floors is None else {LogPartition(*source): end for *source, end in floors},
                added,
                reported_us,
                is_changed,
            )


def _now(spend: BudgetSpend, now_us: int) -> BudgetNow:
    return BudgetNow(spend.budget, now_us, copy.deepcopy(spend.of(spend.budget.at(now_us))))


def _texts(present: dict[str, set[str]], rows: pl.DataFrame, name: str) -> set[str]:
    """Return the texts of a column, read once."""
    if name not in present:
        present[name] = set(rows[name].unique())
    return present[name]


def _spent(rows: pl.DataFrame, condition: pl.Expr | None) -> list[Spent]:
    """Return what the rows of a scope cost, by window."""
    chosen = rows if condition is None else rows.filter(condition)
    if not chosen.height:
        return []
    at_us = pl.col("window_start").dt.epoch("us").alias("at_us")
    sums = chosen.group_by(at_us).agg(pl.col("cost_pico_usd", "requests", "unpriced").sum())
    return [Spent(at, int(cost), n, free) for at, cost, n, free in sums.sort("at_us").iter_rows()]
