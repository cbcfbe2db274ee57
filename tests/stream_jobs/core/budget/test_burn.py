"""Burn rates are multiples of even spending; both stretches have to show that it burns."""

from __future__ import annotations

from datetime import UTC

import pytest

from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.budget.burn import BURN_RULES, burn_rates
from tokentide_jobs.core.budget.period import PeriodKind
from tokentide_jobs.core.budget.reads import WindowSpend

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
NOW_US = 1_795_867_200_000_000  # 2026-11-28 12:00, in a month of 720 hours
USD = 10**12


def budget(kind: PeriodKind, dollars: int) -> Budget:
    return Budget(
        name="b", scope=Scope(), period=kind, zone=UTC, zone_name="UTC",
        amount_pico_usd=dollars * USD,
    )  # fmt: skip


def steady(hours: int, dollars_an_hour: float, until_us: int = NOW_US) -> list[WindowSpend]:
    """Return minutes of even spend that end at `until_us`."""
    pico = round(dollars_an_hour * USD / 60)
    starts = [until_us - MINUTE_US * (at + 1) for at in reversed(range(hours * 60))]
    return [WindowSpend(start, start + MINUTE_US, pico, 1, 0) for start in starts]


def test_even_spending_burns_at_one() -> None:
    for rate in burn_rates(budget("month", 720), steady(80, 1.0), NOW_US):
        assert [rate.long, rate.short] == pytest.approx([1.0, 1.0])
        assert not rate.is_burning


def test_two_percent_of_a_month_in_an_hour_is_a_page() -> None:
    calm = burn_rates(budget("month", 720), steady(80, 1.0), NOW_US)
    fast = burn_rates(budget("month", 720), steady(80, 1.0)[:-60] + steady(1, 14.5), NOW_US)
    assert [rate.is_burning for rate in calm] == [False, False, False]
    assert [rate.is_burning for rate in fast] == [True, False, False]
    assert fast[0].rule.severity == "page"
    assert fast[0].long == pytest.approx(14.5)


def test_what_ended_does_not_burn() -> None:
    over = steady(1, 100.0, NOW_US - 6 * MINUTE_US)
    first = burn_rates(budget("month", 720), over, NOW_US)[0]
    assert first.long > first.rule.factor
    assert first.short == 0
    assert not first.is_burning


def test_a_stretch_is_as_long_as_the_windows_that_tell_it() -> None:
    # The stretch of an hour begins inside of a stored hour, half of which is before it.
    now_us = NOW_US + 30 * MINUTE_US
    hours = [WindowSpend(NOW_US - HOUR_US, NOW_US, 3 * USD, 1, 0)]
    rate = burn_rates(budget("month", 720), hours, now_us)[0]
    assert rate.long == pytest.approx(2.0), "3 dollars in an hour and a half"


def test_spend_of_the_future_does_not_burn_yet() -> None:
    future = [WindowSpend(NOW_US + MINUTE_US, NOW_US + 2 * MINUTE_US, USD, 1, 0)]
    assert all(rate.long == 0 for rate in burn_rates(budget("day", 1), future, NOW_US))


def test_no_rule_needs_more_than_the_whole_amount_to_burn() -> None:
    hours = {"month": 720, "week": 168, "day": 24, "hour": 1}
    for kind, rules in BURN_RULES.items():
        for rule in rules:
            assert rule.short_s < rule.long_s
            assert rule.factor * rule.long_s / 3_600 / hours[kind] <= 0.61, (kind, rule)
