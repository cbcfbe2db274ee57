"""What services read back of a budget: exact, and no forecast that the present has overtaken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest

from tests.stream_jobs.core.decide.recorded_stream import BUDGETS, RULES, recorded
from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.budget.spend import PeriodSpend, Spent
from tokentide_jobs.core.decide.budget_book import BudgetBook
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decisions import BudgetNow, Decisions
from tokentide_jobs.core.decide.states import states_of
from tokentide_jobs.core.forecast.forecast import Forecast
from tokentide_schemas.control import BudgetState, RunState

NOW_US = 1_795_000_000_000_000
BUDGET = Budget(
    name="search", scope=Scope((("team", "search"),)), period="day", zone=UTC, zone_name="UTC",
    amount_pico_usd=100,
)  # fmt: skip


def state(spent: int, forecast: Forecast | None) -> BudgetState:
    now = BudgetNow(BUDGET, NOW_US, PeriodSpend(BUDGET.at(NOW_US), spent))
    period_us = BUDGET.at(NOW_US).start_us
    forecasts = {} if forecast is None else {(BUDGET.revision, period_us): forecast}
    [found] = states_of(Decisions(budgets=[now]), forecasts, pytest.fail)
    assert isinstance(found, BudgetState)
    return found


@pytest.mark.parametrize(("spent", "shown"), [(0, 90), (90, 90), (91, None), (1 << 80, None)])
def test_a_forecast_below_what_is_spent_is_not_said(spent: int, shown: int | None) -> None:
    forecast = Forecast(
        pico_usd=90, low_pico_usd=80, high_pico_usd=95, method="even rate", rests_on=""
    )
    found = state(spent, forecast)
    assert (found.spent_pico_usd, found.forecast_pico_usd) == (spent, shown)
    assert (found.forecast_low_pico_usd is None) is (shown is None)


def test_what_was_refused_or_never_made_is_no_forecast() -> None:
    for forecast in (None, Forecast(rests_on="the period has only begun")):
        assert state(0, forecast).forecast_pico_usd is None


def test_a_forecast_of_the_period_before_says_nothing_of_this_one() -> None:
    before = BUDGET.before(BUDGET.at(NOW_US))
    forecast = Forecast(pico_usd=90, method="even rate", rests_on="")
    now = BudgetNow(BUDGET, NOW_US, PeriodSpend(BUDGET.at(NOW_US), 1))
    forecasts = {(BUDGET.revision, before.start_us): forecast}
    [found] = states_of(Decisions(budgets=[now]), forecasts, pytest.fail)
    assert isinstance(found, BudgetState)
    assert found.forecast_pico_usd is None


def test_a_threshold_that_a_budget_no_longer_has_is_not_reported() -> None:
    book, asked = BudgetBook(), range(1, 65)  # as many as a budget may have
    for thresholds in (tuple(asked), tuple(one + 100 for one in asked)):
        budget = replace(BUDGET, thresholds=thresholds)
        book.replace([budget])
        book.outdate("a file")
        book.seed(budget.name, {}, [Spent(NOW_US, 2 * budget.amount_pico_usd, 1)], NOW_US)
    [found] = states_of(Decisions(budgets=book.standing(NOW_US)), {}, pytest.fail)
    assert isinstance(found, BudgetState)
    assert found.reached == [one + 100 for one in asked]


def test_a_state_that_the_contract_does_not_know_is_left_out_and_logged() -> None:
    budgets = [replace(BUDGET, name="n" * 300), BUDGET]
    found = [BudgetNow(one, NOW_US, PeriodSpend(one.at(NOW_US), 1)) for one in budgets]
    refused: list[str] = []
    [shown] = states_of(Decisions(budgets=found), {}, refused.append)
    assert isinstance(shown, BudgetState)
    assert shown.budget == "search"
    assert len(refused) == 1
    assert "256 characters" in refused[0]


def test_every_field_of_the_contract_is_filled() -> None:
    """Services would wait in vain for a field that no state fills."""
    decider = Decider(RULES, BUDGETS)
    for budget in decider.budgets.unseeded():
        decider.budgets.seed(budget.name, {}, [])
    found = states_of(decider.take(recorded()), {}, pytest.fail)
    assert {type(one) for one in found} == {RunState, BudgetState}
    for one in found:
        assert one.model_fields_set == set(type(one).model_fields), type(one).__name__
