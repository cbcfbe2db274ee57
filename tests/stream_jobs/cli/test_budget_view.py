"""What a budget's lines on a screen promise: who is notified that it burns."""

from __future__ import annotations

from tests.stream_jobs.core.budget.test_budget_status import HOUR_US, NOW_US, USD, budget, hourly
from tokentide_dashboards.rules.spend import SPEND_RULES
from tokentide_jobs.cli.budget_view import remarks
from tokentide_jobs.core.budget.budget_status import budget_status
from tokentide_jobs.core.budget.reads import WindowSpend


def burning(dollars: float, hours: int) -> str:
    fast = [
        WindowSpend(NOW_US - HOUR_US * (at + 1), NOW_US - HOUR_US * at, 30 * USD, 1, 0)
        for at in reversed(range(hours))
    ]
    status = budget_status(budget(dollars), [*hourly(5)[:-hours], *fast], NOW_US)
    (line,) = [text.plain for text in remarks(status) if "burning" in text.plain]
    return line


def test_grafana_notifies_of_the_fastest_rate_and_the_detect_job_does_not() -> None:
    printed = burning(1_000, 1)
    assert "burning, worth a page" in printed
    assert "Grafana notifies of it, where its rule tokentide-budget-burn is set up" in printed
    assert "budget-burn" in {rule.name for rule in SPEND_RULES}


def test_of_a_slower_rate_no_notification_is_sent() -> None:
    assert "no notification is sent" in burning(3_000, 6)
