"""What a budget reached while deltas were missed is told, once, and what was told before is not."""

from __future__ import annotations

from dataclasses import replace

from tests.stream_jobs.core.decide.recorded_stream import BUDGETS
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
