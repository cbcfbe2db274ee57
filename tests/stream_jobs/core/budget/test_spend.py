"""Sums and notices depend on what was added, not on the order or on how often."""

from __future__ import annotations

from datetime import UTC
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.budget.spend import BudgetSpend, Spent
from tokentide_jobs.errors import InvariantViolation

DAY_US = 86_400_000_000
USD = 10**12
NOON_US = 20_000 * DAY_US + DAY_US // 2
BUDGET = Budget(
    name="search",
    scope=Scope((("team", "search"),)),
    period="day",
    zone=UTC,
    zone_name="UTC",
    amount_pico_usd=100 * USD,
)


def fed(spend: BudgetSpend, *additions: tuple[int, int]) -> list[int]:
    """Add (offset, dollars) one by one; return the percentages that were reported."""
    reached = []
    for offset, dollars in additions:
        spent = [Spent(NOON_US, dollars * USD, requests=1)]
        reached += [one.percent for one in spend.add("log/0", offset, offset + 1, spent)]
    return reached


def test_each_threshold_is_reached_once_at_its_share_exactly() -> None:
    spend = BudgetSpend(BUDGET)
    assert fed(spend, (0, 49)) == []
    assert spend.add("log/0", 1, 2, [Spent(NOON_US, USD - 1)]) == []
    (half,) = spend.add("log/0", 2, 3, [Spent(NOON_US + 5, 1)])
    assert (half.percent, half.spent_pico_usd, half.at_us) == (50, 50 * USD, NOON_US + 5)
    assert fed(spend, (3, 48), (4, 1), (5, 1), (6, 500)) == [80, 95, 100]


def test_a_repeated_range_adds_nothing_and_gives_no_notice() -> None:
    spend = BudgetSpend(BUDGET)
    assert fed(spend, (0, 60), (1, 10)) == [50]
    before = spend.of(BUDGET.at(NOON_US)).pico_usd
    assert fed(spend, (0, 60), (1, 10), (0, 60)) == []
    assert spend.add("log/0", 0, 2, [Spent(NOON_US, 70 * USD)]) == []
    assert spend.of(BUDGET.at(NOON_US)).pico_usd == before == 70 * USD
    assert fed(spend, (2, 10)) == [80]


def test_a_range_that_was_added_in_part_is_refused() -> None:
    spend = BudgetSpend(BUDGET)
    spend.add("log/0", 10, 20, [])
    for start, end in ((5, 11), (19, 25), (5, 25), (7, 7)):
        with pytest.raises(InvariantViolation, match=f"{start}-{end}"):
            spend.add("log/0", start, end, [])
    spend.add("log/1", 5, 11, [])


BATCHES = st.lists(
    st.lists(
        st.builds(
            Spent,
            st.integers(NOON_US - 2 * DAY_US, NOON_US + 2 * DAY_US),
            st.integers(0, 70 * USD),
            st.integers(1, 5),
            st.integers(0, 1),
        ),
        max_size=3,
    ),
    min_size=1,
    max_size=8,
)


@given(BATCHES, st.randoms(use_true_random=False), st.lists(st.integers(1, 9), min_size=8))
def test_order_and_repetition_change_neither_sums_nor_notices(
    batches: list[list[Spent]], rng: object, lengths: list[int]
) -> None:
    edges = [0]
    for _batch, length in zip(batches, lengths, strict=False):
        edges.append(edges[-1] + length)
    additions = [
        (start, end, spent) for (start, end), spent in zip(pairwise(edges), batches, strict=True)
    ]

    def run(order: list[tuple[int, int, list[Spent]]]) -> tuple[object, list[str]]:
        spend, reached = BudgetSpend(BUDGET), []
        for start, end, spent in order:
            reached += [one.id for one in spend.add("log/0", start, end, spent)]
        periods = [BUDGET.at(NOON_US + day * DAY_US) for day in range(-2, 3)]
        sums = [spend.of(one) for one in periods]
        reached += [one.id for one in spend.advance(NOON_US + DAY_US, 0)]
        reached += [one.id for one in spend.advance(NOON_US + DAY_US, 0)]
        return [
            (one.pico_usd, one.requests, one.unpriced, set(one.crossed)) for one in sums
        ], reached

    shuffled = additions * 2
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types it as a bare object
    sums, reached = run(additions)
    assert run(shuffled)[0] == sums
    assert sorted(run(shuffled)[1]) == sorted(reached)
    assert len(set(reached)) == len(reached)


def test_a_period_after_one_with_notices_begins_with_a_notice() -> None:
    spend = BudgetSpend(BUDGET)
    fed(spend, (0, 81))
    assert spend.advance(NOON_US, 0) == []
    (reset,) = spend.advance(NOON_US + DAY_US, 0)
    assert (reset.what, reset.period, reset.spent_pico_usd) == (
        "reset", BUDGET.at(NOON_US + DAY_US), 81 * USD
    )  # fmt: skip
    assert spend.advance(NOON_US + DAY_US, 0) == []
    assert spend.advance(NOON_US + 2 * DAY_US, 0) == []


def test_a_period_that_was_passed_over_ends_the_one_before_it_all_the_same() -> None:
    spend = BudgetSpend(BUDGET)
    fed(spend, (0, 81))
    spend.add("log/0", 1, 2, [Spent(NOON_US + DAY_US, 96 * USD)])
    found = spend.advance(NOON_US + 9 * DAY_US, NOON_US + 2 * DAY_US)
    assert [(one.period, one.spent_pico_usd) for one in found] == [
        (BUDGET.at(NOON_US + DAY_US), 81 * USD), (BUDGET.at(NOON_US + 2 * DAY_US), 96 * USD),
    ]  # fmt: skip
    step_by_step = BudgetSpend(BUDGET)
    fed(step_by_step, (0, 81))
    assert step_by_step.advance(NOON_US + DAY_US, 0) == found[:1], "as if nothing was passed over"
    assert spend.advance(NOON_US + 9 * DAY_US, NOON_US + 2 * DAY_US) == []


def test_periods_that_nothing_is_added_to_any_more_are_dropped() -> None:
    spend = BudgetSpend(BUDGET)
    fed(spend, (0, 81))
    spend.advance(NOON_US + DAY_US, NOON_US + DAY_US)
    assert spend.of(BUDGET.at(NOON_US)).pico_usd == 81 * USD, "the period before is kept"
    spend.advance(NOON_US + 3 * DAY_US, NOON_US + DAY_US)
    assert spend.of(BUDGET.at(NOON_US)).pico_usd == 0


def test_another_amount_is_another_budget_to_be_reported() -> None:
    raised = Budget(
        name="search", scope=BUDGET.scope, period="day", zone=UTC, zone_name="UTC",
        amount_pico_usd=120 * USD,
    )  # fmt: skip
    (first,) = BudgetSpend(BUDGET).add("log/0", 0, 1, [Spent(NOON_US, 60 * USD)])
    (again,) = BudgetSpend(BUDGET).add("log/9", 5, 6, [Spent(NOON_US + 7, 61 * USD)])
    (other,) = BudgetSpend(raised).add("log/0", 0, 1, [Spent(NOON_US, 60 * USD)])
    assert first.id == again.id != other.id
