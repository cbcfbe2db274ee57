"""What a budget reached while deltas were missed is reported, once, and nothing a second time."""

from __future__ import annotations

from dataclasses import replace

from tests.stream_jobs.core.decide.recorded_stream import BUDGETS
from tokentide_jobs.core.alert.sources import budget_finding
from tokentide_jobs.core.budget.spend import Spent
from tokentide_jobs.core.decide.budget_book import BudgetBook
from tokentide_jobs.core.tables import DAY_US, HOUR_US

NOW_US = 1_790_000_000_000_000 // DAY_US * DAY_US


def test_only_what_was_reached_since_deltas_were_missed_is_news() -> None:
    daily = replace(BUDGETS[0], period="day", thresholds=(50, 80, 95, 100))
    hundredth = daily.amount_pico_usd // 100
    book = BudgetBook()
    book.replace([daily])
    book.seed(daily.name, {}, [Spent(NOW_US, hundredth * 60, 1)], NOW_US)

    book.recount()
    missed = book.seed(daily.name, {}, [Spent(NOW_US, hundredth * 120, 2)], NOW_US + HOUR_US)
    book.recount()
    again = book.seed(daily.name, {}, [Spent(NOW_US, hundredth * 120, 2)], NOW_US + HOUR_US)

    news = [(one.notice.percent, one.is_history) for one in missed]
    assert news == [(80, False), (95, False), (100, False)]
    assert not again


def test_a_period_that_ended_while_deltas_were_missed_is_reported_with_what_was_counted_of_it() -> (
    None
):
    daily = replace(BUDGETS[0], period="day", thresholds=(50,))
    spent = daily.amount_pico_usd * 60 // 100
    book = BudgetBook()
    book.replace([daily])
    book.seed(daily.name, {}, [Spent(NOW_US, spent, 1)], NOW_US)

    later_us = NOW_US + 5 * DAY_US
    book.recount()
    whole_from_us = later_us - DAY_US
    book.seed(daily.name, {}, [Spent(later_us, 1, 1)], later_us, whole_from_us)
    found = book.advance(later_us)

    assert [(one.notice.what, one.notice.spent_pico_usd) for one in found] == [("reset", spent)]
    ends = budget_finding(daily, found[0].notice)
    assert (ends.change, ends.period) == ("ends", f"{daily.revision}/{NOW_US}")
