"""Decisions as the states that services read back: how flagged runs and budgets stand now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from pydantic import ValidationError

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.decide.decisions import BudgetNow, Decisions, RunNow
from tokentide_jobs.core.forecast.forecast import Forecast
from tokentide_schemas.control import BudgetState, ControlState, RunState, budget_key, run_key

__all__ = ["ended_keys", "keys_of", "states_of"]

_LONGEST_TEXT: Final = 2_048


def states_of(
    decisions: Decisions,
    forecasts: Mapping[tuple[str, int], Forecast],
    refuse: Callable[[str], None],
) -> list[ControlState]:
    """Return the states to be reported, the newest of each run and budget.

    Args:
        decisions: What was found.
        forecasts: The newest by the revision of its budget and the start of the period.
        refuse: Called with the reason where the contract cannot express a state; it is left out.
    """
    runs = {one.key: one for one in decisions.runs}
    budgets = {one.budget.name: one for one in decisions.budgets}
    makers: list[Callable[[], ControlState]] = [
        *(partial(_run, one) for one in runs.values() if not one.is_over),
        *(
            partial(_budget, one, forecasts.get((one.budget.revision, one.spend.period.start_us)))
            for one in budgets.values()
        ),
    ]
    states = []
    for make in makers:
        try:
            states.append(make())
        except ValidationError as exc:
            refuse(str(exc))
    return states


def ended_keys(decisions: Decisions) -> list[str]:
    """Return the keys of runs whose state is to be taken back."""
    runs = {one.key: one for one in decisions.runs}
    return [run_key(key.tenant, key.run) for key, one in runs.items() if one.is_over]


def keys_of(budgets: Iterable[Budget]) -> set[str]:
    """Return the keys of budgets."""
    return {budget_key(budget.name) for budget in budgets}


def _run(now: RunNow) -> RunState:
    return RunState(
        schema="run_state.v1",
        at_us=now.at_us,
        tenant=now.key.tenant,
        run=now.key.run,
        agent=now.agent,
        user=now.user,
        state="stop" if now.is_to_stop else "flagged",
        rules=list(now.rules),
        reason=now.reason[:_LONGEST_TEXT],
        spend_pico_usd=max(0, now.spend_pico_usd),
        per_minute_pico_usd=max(0, now.per_minute_pico_usd),
        calls=now.calls,
        last_step_us=now.last_step_us,
    )


def _budget(now: BudgetNow, expected: Forecast | None) -> BudgetState:
    budget, spend = now.budget, now.spend
    spent = max(0, spend.pico_usd)  # corrections may take away more than a period has
    if expected is not None and (expected.pico_usd or 0) < spent:
        expected = None  # more was spent since it was made
    return BudgetState(
        schema="budget_state.v1",
        at_us=now.at_us,
        budget=budget.name,
        scope=budget.scope.to_dict(),
        period=budget.period,
        period_start_us=spend.period.start_us,
        period_end_us=spend.period.end_us,
        amount_pico_usd=budget.amount_pico_usd,
        spent_pico_usd=spent,
        share=spent / budget.amount_pico_usd,
        thresholds=list(budget.thresholds),
        # Those of an earlier file are kept, so that none is reported twice, and are not its own.
        reached=sorted(spend.crossed.keys() & set(budget.thresholds)),
        kind=budget.kind,
        unpriced=spend.unpriced,
        forecast_pico_usd=expected.pico_usd if expected else None,
        forecast_low_pico_usd=expected.low_pico_usd if expected else None,
        forecast_high_pico_usd=expected.high_pico_usd if expected else None,
    )
