"""An alert about what is not watched any more ends, however that came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.stream_jobs.core.alert.histories import MINUTE_US, NOW_US, finding
from tests.stream_jobs.core.decide.recorded_stream import BUDGETS, RULES, recorded
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.sources import budget_finding
from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.spend import BudgetSpend, Spent
from tokentide_jobs.core.decide.alert_findings import alert_findings
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.unwatched import lost, run_of, unwatched
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.detect.window_view import ClosedWindow
from tokentide_jobs.core.slo.slo import Good, Slo

HOUR_US = 60 * MINUTE_US
HOURLY = replace(BUDGETS[0], period="hour")
SLO = Slo(name="chat", scope=(), good=Good(what="errors"), objective=0.99, window_days=30)


def opened(budget: Budget, at_us: int) -> AlertBook:
    """Return a book with the open alert of a budget of which 96 % were spent."""
    book = AlertBook(AlertRules())
    spent = [Spent(at_us, budget.amount_pico_usd * 96 // 100, 1)]
    notices = BudgetSpend(budget).add("deltas", 0, 1, spent)
    made = book.observe([budget_finding(budget, one) for one in notices], at_us, at_us)
    assert [one.state for one in made] == ["open"]
    return book


def ends(book: AlertBook, budgets: Sequence[Budget], now_us: int) -> list[str]:
    found = list(unwatched(book.alerts.values(), budgets, [SLO], now_us))
    made = book.observe(found, now_us, now_us)
    assert [one.state for one in made] == ["closed"] * len(made)
    assert list(unwatched(book.alerts.values(), budgets, [SLO], now_us)) == []
    return [one.why for one in made]


@pytest.mark.parametrize(
    ("budgets", "hours", "why"),
    [
        ([HOURLY], 0, []),
        ([replace(HOURLY, kind="hard", thresholds=(50,))], 0, []),
        ([HOURLY], 1, ["its period is over"]),
        ([HOURLY], 70, ["its period is over"]),
        (
            [replace(HOURLY, amount_pico_usd=10**15)],
            0,
            ["the budget was changed, or is watched no more"],
        ),
        ([], 0, ["the budget was changed, or is watched no more"]),
    ],
)
def test_a_budget_alert_ends_with_its_period_or_its_budget(
    budgets: list[Budget], hours: int, why: list[str]
) -> None:
    at_us = NOW_US // HOUR_US * HOUR_US + 10 * MINUTE_US
    assert ends(opened(HOURLY, at_us), budgets, at_us + hours * HOUR_US) == why


@pytest.mark.parametrize("name", ["search", "chat"])
def test_an_slo_that_is_taken_out_of_its_file_or_has_another_scope_ends_its_alert(
    name: str,
) -> None:
    book = AlertBook(AlertRules(pending_us={}))
    burns = finding(kind="slo", dimensions=(("slo", "chat"),), metric="burn")
    gone = replace(burns, dimensions=(("slo", name), ("tenant", "acme")))
    book.observe([burns, gone], NOW_US, NOW_US)
    assert ends(book, [], NOW_US) == ["the SLO has another scope, or is watched no more"]
    assert [alert.state for alert in book.alerts.values()] == ["open", "closed"]


def test_runs_and_alarms_end_where_what_was_known_of_them_is_lost() -> None:
    decider, book = Decider(RULES, ()), AlertBook(AlertRules(history_lag_us=10**18))
    for begin in range(0, len(recorded()), 10):
        found = decider.take(recorded()[begin : begin + 10])
        now_us = decider.progress.now_us
        book.observe(alert_findings(found), now_us, now_us)
    alerts = [one for one in book.alerts.values() if one.finding.kind in ("run", "anomaly")]
    assert {one.finding.kind for one in alerts if one.is_live} == {"run", "anomaly"}
    assert list(lost(alerts, decider)) == []
    restored = Decider.from_bytes(decider.to_bytes(), RULES, ())
    assert list(lost(alerts, restored)) == []
    over = list(lost(alerts, Decider(RULES, ())))
    assert len(over) == sum(one.is_live for one in alerts)
    assert {run_of(one).run for one in over if one.kind == "run"} == {"wild"}
    book.observe(over, now_us, now_us)
    assert not any(one.is_live for one in alerts)


def test_that_deltas_were_missed_is_remembered_until_it_is_dealt_with() -> None:
    decider = Decider(RULES, ())
    decider.has_gap = True
    assert Decider.from_bytes(decider.to_bytes(), RULES, ()).has_gap


def test_a_key_that_is_forgotten_with_an_open_alarm_leaves_a_gap() -> None:
    decider = Decider(RULES, ())
    decider.take(recorded())
    (detectors, *_fast) = decider.watched.by_length.values()
    state = detectors.state
    state.array("is_open")[:] = False
    state.array("is_open")[0, 0, 0] = True
    assert not decider.watched.take_lost_alarms()
    days_us = (state.last_window + 400 * 1_440) * MINUTE_US  # nothing came for long
    nothing = np.zeros((len(METRICS), 0))
    detectors.judge(ClosedWindow(days_us, [], nothing, nothing, True))
    assert list(state.keys) == []
    assert decider.watched.take_lost_alarms(), "the end of this alarm would never be reported"
    assert not decider.watched.take_lost_alarms()
