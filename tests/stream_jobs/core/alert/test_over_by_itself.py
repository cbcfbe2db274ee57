"""What is over by itself, as a budget's period, is not announced late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.stream_jobs.core.decide.recorded_stream import BUDGETS
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.sources import budget_finding
from tokentide_jobs.core.budget.spend import BudgetSpend, Spent
from tokentide_jobs.core.tables import HOUR_US

HOUR_BEGAN_US = 1_790_000_000_000_000 // HOUR_US * HOUR_US


@pytest.mark.parametrize("hours", [1, 3])
def test_a_threshold_held_as_history_is_not_announced_once_its_period_is_over(hours: int) -> None:
    hourly = replace(BUDGETS[0], period="hour")
    spent = Spent(HOUR_BEGAN_US + 5 * HOUR_US // 6, hourly.amount_pico_usd * 96 // 100, 1)
    notices = BudgetSpend(hourly).add("deltas", 0, 1, [spent])
    found = [budget_finding(hourly, one) for one in notices]
    now_us = HOUR_BEGAN_US + hours * HOUR_US
    book = AlertBook(replace(AlertRules(), history_lag_us=60_000_000))

    made = book.observe(found, now_us, now_us)

    assert {(one.state, one.held) for one in made} == {("open", "history")}
