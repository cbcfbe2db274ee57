"""What was spent of one budget, period by period, from additions in any order, repeated or not.

An addition names the range of a source that it covers, as a batch its offsets: a range that is
covered already adds nothing. Sums are integers, so the state is the same whatever the order. Every
notice has an id made of budget, period and threshold: it is returned once, and a replay of the
additions into an empty state returns the same ids.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Literal

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.period import Period
from tokentide_jobs.core.digest import digest
from tokentide_jobs.errors import InvariantViolation

__all__ = ["BudgetSpend", "Notice", "PeriodSpend", "Spent"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What some requests cost that began at about the same time.

    Attributes:
        at_us: When: an instant of their period, such as the start of their window.
        pico_usd: Their cost; below zero where prices were corrected.
        requests: How many.
        unpriced: How many of them have no price and are missing in the cost.
    """

    at_us: int
    pico_usd: int
    requests: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to report once.

    Attributes:
        id: Of budget, period and threshold alone.
        what: A threshold was reached, or a new period began after one in which one had been.
        period: The period it is about; of a reset, the new one.
        percent: The threshold; of a reset, 0.
        at_us: Start of the window whose cost reached the threshold; of a reset, of the period.
        spent_pico_usd: In the period at this moment; of a reset, in the whole period before.
    """

    id: str
    what: Literal["threshold", "reset"]
    period: Period
    percent: int
    at_us: int
    spent_pico_usd: int


@dataclass(slots=True)
class PeriodSpend:
    """The sums of one period, and which thresholds they reached."""

    period: Period
    pico_usd: int = 0
    requests: int = 0
    unpriced: int = 0
    crossed: dict[int, Notice] = field(default_factory=dict)


class BudgetSpend:
    """The spend of one budget.

    Args:
        budget: Of which.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._periods: dict[int, PeriodSpend] = {}
        self._covered: dict[str, _Ranges] = {}
        self._resets: set[int] = set()
        self._last = Period(0, 0, "")

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was ever added."""
        return not self._covered

    def keep_notices(self, other: BudgetSpend, counted_from_us: int) -> None:
        """Take over what was reported of another count of the same budget: it is not repeated.

        Args:
            other: The other count.
            counted_from_us: What this one is given begins there: of older periods the sums are
                taken over, too.
        """
        self._resets |= other._resets
        for start_us, known in other._periods.items():
            state = self._periods.setdefault(start_us, PeriodSpend(known.period))
            state.crossed.update(known.crossed)
            if known.period.end_us <= counted_from_us:
                state.pico_usd, state.requests = known.pico_usd, known.requests
                state.unpriced = known.unpriced

    def of(self, period: Period) -> PeriodSpend:
        """Return the sums of a period, zero where nothing was added."""
        return self._periods.get(period.start_us) or PeriodSpend(period)

    def add(self, source: str, start: int, end: int, spent: Sequence[Spent]) -> list[Notice]:
        """Add what the range [start, end) of a source cost, unless it was added before.

        Args:
            source: Where the range is from: two sources never name the same cost.
            start: First position, such as an offset.
            end: Position after the last one.
            spent: What it cost in this budget's scope; nothing is worth adding too, so that
                ranges join.

        Returns:
            The thresholds that were reached by it, in order.

        Raises:
            InvariantViolation: A part of the range was added, and a part was not.
        """
        if not self._covered.setdefault(source, _Ranges()).add(start, end):
            return []
        notices: list[Notice] = []
        for one in spent:
            state = self._period_of(one.at_us)
            state.pico_usd += one.pico_usd
            state.requests += one.requests
            state.unpriced += one.unpriced
            notices += self._reached(state, one.at_us)
        return notices

    def advance(self, now_us: int, accepted_from_us: int) -> list[Notice]:
        """Return the notice that a period began, once, for each that followed one with a threshold.

        Also for one that is over by now: where nothing came for longer than a period, the end of
        the period before it was not reported.

        Args:
            now_us: The present.
            accepted_from_us: Nothing older is added any more: periods that ended are dropped.
        """
        period = self.budget.at(now_us)
        ended = {
            one.period.end_us: one.pico_usd
            for one in self._periods.values()
            if one.crossed and one.period.end_us <= period.start_us
        }
        notices = []
        for began_us in sorted(ended.keys() - self._resets):
            self._resets.add(began_us)
            began = self.budget.at(began_us)
            notices.append(self._notice("reset", began, 0, began_us, ended[began_us]))
        keeps_from_us = min(accepted_from_us, self.budget.before(period).start_us)
        for start_us in [start_us for start_us in self._periods if start_us < keeps_from_us]:
            if self._periods[start_us].period.end_us <= keeps_from_us:
                del self._periods[start_us]
        self._resets = {start_us for start_us in self._resets if start_us >= keeps_from_us}
        return notices

    def to_rows(self) -> list[Any]:
        """Return everything but the budget as plain values, the same for the same additions."""
        periods = [
            [
                *astuple(one.period), one.pico_usd, one.requests, one.unpriced,
                [_plain(notice) for _percent, notice in sorted(one.crossed.items())],
            ]
            for _start_us, one in sorted(self._periods.items())
        ]  # fmt: skip
        covered = {source: ranges.to_rows() for source, ranges in sorted(self._covered.items())}
        return [periods, covered, sorted(self._resets)]

    @classmethod
    def from_rows(cls, budget: Budget, rows: list[Any]) -> BudgetSpend:
        """Return the spend of a budget whose `to_rows` these are."""
        periods, covered, resets = rows
        spend = cls(budget)
        for start_us, end_us, label, pico_usd, requests, unpriced, crossed in periods:
            notices = [Notice(**{**one, "period": Period(*one["period"])}) for one in crossed]
            spend._periods[start_us] = PeriodSpend(
                Period(start_us, end_us, label), pico_usd, requests, unpriced,
                {notice.percent: notice for notice in notices},
            )  # fmt: skip
        spend._covered = {source: _Ranges(*ranges) for source, ranges in covered.items()}
        spend._resets = set(resets)
        return spend

    def _period_of(self, at_us: int) -> PeriodSpend:
        # Nearly everything that arrives is of one period: no calendar is asked for it again.
        if not self._last.start_us <= at_us < self._last.end_us:
            self._last = self.budget.at(at_us)
        return self._periods.setdefault(self._last.start_us, PeriodSpend(self._last))

    def _reached(self, state: PeriodSpend, at_us: int) -> list[Notice]:
        reached = []
        for percent in self.budget.thresholds:
            is_reached = state.pico_usd * 100 >= self.budget.amount_pico_usd * percent
            if is_reached and percent not in state.crossed:
                notice = self._notice("threshold", state.period, percent, at_us, state.pico_usd)
                state.crossed[percent] = notice
                reached.append(notice)
        return reached

    def _notice(
        self,
        what: Literal["threshold", "reset"],
        period: Period,
        percent: int,
        at_us: int,
        spent: int,
    ) -> Notice:
        name = digest(self.budget.revision, period.start_us, what, percent)
        return Notice(name, what, period, percent, at_us, spent)


def _plain(notice: Notice) -> dict[str, Any]:
    return {**asdict(notice), "period": list(astuple(notice.period))}


class _Ranges:
    """Disjoint half-open ranges, joined where they touch: one range for a source without gaps."""

    def __init__(self, starts: Sequence[int] = (), ends: Sequence[int] = ()) -> None:
        self._starts = list(starts)
        self._ends = list(ends)

    def to_rows(self) -> list[list[int]]:
        """Return starts and ends."""
        return [self._starts, self._ends]

    def add(self, start: int, end: int) -> bool:
        """Cover [start, end); tell whether it was not covered before."""
        at = bisect_right(self._starts, start)
        if at and end <= self._ends[at - 1]:
            return False
        overlaps_left = at and start < self._ends[at - 1]
        overlaps_right = at < len(self._starts) and self._starts[at] < end
        if start >= end or overlaps_left or overlaps_right:
            raise InvariantViolation(f"range {start}-{end} is empty or was added in part already")
        low, high = at, at
        if at and self._ends[at - 1] == start:
            low, start = at - 1, self._starts[at - 1]
        if at < len(self._starts) and self._starts[at] == end:
            high, end = at + 1, self._ends[at]
        self._starts[low:high], self._ends[low:high] = [start], [end]
        return True
