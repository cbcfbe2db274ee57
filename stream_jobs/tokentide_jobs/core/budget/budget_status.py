"""The state of a budget at one moment, computed from stored windows, and the verdict on it.

`over` means that more than the amount was spent; `attention` that it is going to be, by its burn
or by its forecast. Sums and thresholds come from the same state that counts additions as they
arrive, so both say the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal

import numpy as np

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.burn import BurnRate, burn_rates
from tokentide_jobs.core.budget.period import instant
from tokentide_jobs.core.budget.reads import WindowSpend
from tokentide_jobs.core.budget.spend import BudgetSpend, Notice, PeriodSpend, Spent
from tokentide_jobs.core.forecast.forecast import Forecast, even_rate, forecast
from tokentide_jobs.core.forecast.methods import Hours
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.tables import HOUR_US

__all__ = ["BudgetStatus", "BudgetVerdict", "budget_status"]

BudgetVerdict = Literal["ok", "attention", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """What a person asks about a budget.

    Attributes:
        budget: Which.
        now_us: When.
        current: Sums and reached thresholds of the present period.
        before: Those of the period before.
        resets: The notice that this period began after one that had reached a threshold.
        burn: The rates of every rule, the fastest first.
        forecast: Of the period's end.
        has_expired_rows: Rows of the present period may be gone, and with them what they cost.
    """

    budget: Budget
    now_us: int
    current: PeriodSpend
    before: PeriodSpend
    resets: Sequence[Notice]
    burn: tuple[BurnRate, ...]
    forecast: Forecast
    has_expired_rows: bool

    @property
    def is_lower_bound(self) -> bool:
        """Tell whether more may have been spent than is known."""
        return self.current.unpriced > 0 or self.has_expired_rows

    @property
    def left_pico_usd(self) -> int:
        """Return what may still be spent; below zero: how much too much was."""
        return self.budget.amount_pico_usd - self.current.pico_usd

    @property
    def share(self) -> float:
        """Return the spent share of the amount."""
        return self.current.pico_usd / self.budget.amount_pico_usd

    @property
    def verdict(self) -> BudgetVerdict:
        """Return whether it needs attention."""
        if self.left_pico_usd < 0:
            return "over"
        expected = self.forecast.pico_usd or 0
        is_burning = any(rate.is_burning for rate in self.burn)
        return "attention" if is_burning or expected > self.budget.amount_pico_usd else "ok"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; money as decimal strings of USD, exact."""
        zone, period = self.budget.zone, self.current.period
        expected = self.forecast
        return {
            "name": self.budget.name,
            "scope": self.budget.scope.to_dict(),
            "kind": self.budget.kind,
            "verdict": self.verdict,
            "period": self.budget.period,
            "time_zone": self.budget.zone_name,
            "period_label": period.label,
            "period_start": instant(period.start_us, zone).isoformat(),
            "period_end": instant(period.end_us, zone).isoformat(),
            "amount_usd": usd(self.budget.amount_pico_usd),
            "spent_usd": usd(self.current.pico_usd),
            "left_usd": usd(self.left_pico_usd),
            "share": round(self.share, 6),
            "requests": self.current.requests,
            "unpriced": self.current.unpriced,
            "has_expired_rows": self.has_expired_rows,
            "is_lower_bound": self.is_lower_bound,
            "thresholds": [self._threshold(percent) for percent in self.budget.thresholds],
            "resets": [_notice(notice, zone) for notice in self.resets],
            "period_before": {
                "label": self.before.period.label,
                "spent_usd": usd(self.before.pico_usd),
                "unpriced": self.before.unpriced,
            },
            "burn": [
                {
                    "severity": rate.rule.severity,
                    "factor": rate.rule.factor,
                    "long_s": rate.rule.long_s,
                    "short_s": rate.rule.short_s,
                    "long_rate": round(rate.long, 4),
                    "short_rate": round(rate.short, 4),
                    "is_burning": rate.is_burning,
                }
                for rate in self.burn
            ],
            "forecast": {
                "usd": _usd_or_none(expected.pico_usd),
                "low_usd": _usd_or_none(expected.low_pico_usd),
                "high_usd": _usd_or_none(expected.high_pico_usd),
                "method": expected.method or None,
                "rests_on": expected.rests_on,
            },
        }

    def _threshold(self, percent: int) -> dict[str, Any]:
        notice = self.current.crossed.get(percent)
        reached = _notice(notice, self.budget.zone) if notice else None
        return {"percent": percent, "reached": reached}


def budget_status(
    budget: Budget, windows: Sequence[WindowSpend], now_us: int, kept_from_us: int = 0
) -> BudgetStatus:
    """Compute the state of a budget.

    Args:
        budget: Which.
        windows: What `reads_of` asks for, in the order of time.
        now_us: The present.
        kept_from_us: What they were summed from may have expired before.
    """
    spend = BudgetSpend(budget)
    for one in windows:
        spent = Spent(one.start_us, one.pico_usd, one.requests, one.unpriced)
        spend.add("windows", one.start_us, one.end_us, [spent])
    period = budget.at(now_us)
    before = budget.before(period)
    current = spend.of(period)
    return BudgetStatus(
        budget=budget,
        now_us=now_us,
        current=current,
        before=spend.of(before),
        resets=[one for one in spend.advance(now_us, before.start_us) if one.period == period],
        burn=burn_rates(budget, windows, now_us),
        forecast=_forecast(budget, windows, current.pico_usd, now_us),
        has_expired_rows=period.start_us < kept_from_us,
    )


def _forecast(budget: Budget, windows: Sequence[WindowSpend], spent: int, now_us: int) -> Forecast:
    period = budget.at(now_us)
    if budget.period in ("hour", "day"):
        return even_rate(spent, now_us - period.start_us, period.length_us)
    elapsed = max(1, math.ceil((now_us // HOUR_US * HOUR_US - period.start_us) / HOUR_US))
    left = (period.end_us - now_us) / HOUR_US
    return forecast(spent, _history(windows, now_us), left, elapsed)


def _history(windows: Sequence[WindowSpend], now_us: int) -> Hours:
    """Return spend by hour, from the first hour with a request to the last full one."""
    end = now_us // HOUR_US
    past = [one for one in windows if one.requests and one.start_us < end * HOUR_US]
    if not past:
        return np.zeros(0)
    begin = past[0].start_us // HOUR_US
    hours = np.zeros(end - begin)
    for one in past:
        hours[one.start_us // HOUR_US - begin] += one.pico_usd
    return hours


def _notice(notice: Notice, zone: tzinfo) -> dict[str, Any]:
    at = instant(notice.at_us, zone).isoformat()
    return {"id": notice.id, "at": at, "spent_usd": usd(notice.spent_pico_usd)}


def _usd_or_none(pico_usd: int | None) -> str | None:
    return None if pico_usd is None else usd(pico_usd)
