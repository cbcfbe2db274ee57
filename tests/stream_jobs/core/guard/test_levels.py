"""What is normal: exact percentiles of finished runs, an agent's own or its tenant's."""

from __future__ import annotations

import pytest

from tokentide_jobs.core.guard.levels import KEPT_RUNS, LEVELS, WHOLE, Level, Levels
from tokentide_jobs.core.guard.rules import GuardRules

RULES = GuardRules(
    min_runs=10,
    rate_floor_pico_usd=100,
    rate_factor_milli=1_500,
    rate_start_pico_usd=250,
    budget_floor_pico_usd=100,
    budget_factor_milli=2_000,
    budget_start_pico_usd=1_500,
)


def learned_from(
    runs: int, figures: tuple[int, ...] = (200, 240, 1_000, 20), agent: str = "a"
) -> Levels:
    levels = Levels(RULES)
    for _ in range(runs):
        levels.learn("t", agent, figures)
    return levels


def test_the_percentile_is_a_figure_that_a_run_had_by_nearest_rank() -> None:
    level = Level()
    for number in range(1, 201):
        level.learn((number, 2 * number, 3 * number, number // 2))
    assert level.p99() == (198, 396, 594, 99)
    assert level.runs == 200
    level.learn((10**30, 0, 0, 0))
    assert level.p99() == (199, 396, 594, 99)


def test_the_oldest_runs_make_room() -> None:
    level = Level()
    for number in range(KEPT_RUNS + 20):
        level.learn((1_000_000 if number < 20 else number, 0, 0, 0))
    assert level.runs == KEPT_RUNS
    assert level.p99()[0] == KEPT_RUNS + 20 - 6


def test_an_agent_with_few_runs_borrows_from_its_tenant_and_a_new_tenant_starts() -> None:
    levels = learned_from(9)
    start = levels.limit("t", "a", 0)
    assert (start.pico_usd, start.basis, start.runs) == (250, "start", 9)
    assert levels.limit("t", "a", WHOLE).pico_usd == 1_500
    levels.learn("t", "b", (200, 240, 1_000, 20))
    borrowed = levels.limit("t", "new", 0)
    assert (borrowed.pico_usd, borrowed.basis, borrowed.runs) == (300, "tenant", 10)
    levels.learn("t", "a", (200, 240, 1_000, 20))
    assert levels.limit("t", "a", 1).basis == "agent"
    assert levels.limit("t", "a", 1).pico_usd == 360
    assert levels.limit("t", "a", WHOLE).pico_usd == 2_000
    assert levels.limit("other", "a", 0).basis == "start"


def test_a_new_agent_of_a_tenant_with_cheap_agents_has_the_start_values() -> None:
    levels = learned_from(10, (10, 20, 30, 5))
    limit = levels.limit("t", "new", 0)
    assert (limit.pico_usd, limit.basis, limit.runs) == (250, "start", 0)


def test_the_floor_holds_where_the_learned_limit_is_lower() -> None:
    limit = learned_from(10, (10, 20, 30, 5)).limit("t", "a", 0)
    assert (limit.pico_usd, limit.basis, limit.p99_pico_usd) == (100, "floor", 10)


def test_a_budget_that_is_set_is_never_learned() -> None:
    levels = Levels(GuardRules(budget_pico_usd=77, min_runs=1))
    levels.learn("t", "a", (1, 1, 10**15, 0))
    limit = levels.limit("t", "a", WHOLE)
    assert (limit.pico_usd, limit.basis) == (77, "budget")


def test_one_runaway_teaches_nothing_and_a_lasting_change_is_learned() -> None:
    levels = learned_from(400)
    levels.learn("t", "a", (10**15,) * 4)
    assert levels.limit("t", "a", 0).pico_usd == 300
    needed = 0
    while levels.limit("t", "a", 0).pico_usd < 900:
        levels.learn("t", "a", (900, 1_800, 4_500, 900))
        needed += 1
    assert 5 <= needed <= 30


def test_agents_are_bounded_and_the_latest_to_learn_stay() -> None:
    levels = Levels(RULES)
    for number in range(LEVELS + 50):
        levels.learn("t", "steady", (1, 1, 1, 1))
        levels.learn("t", f"agent {number}", (1, 1, 1, 1))
    assert len(levels.agents) == LEVELS
    assert ("t", "steady") in levels.agents
    assert ("t", "agent 0") not in levels.agents


@pytest.mark.parametrize("amount", [1 << 63, 1 << 80])
def test_amounts_beyond_64_bits_are_learned_as_the_highest_number(amount: int) -> None:
    level = Level()
    level.learn((amount, 0, 0, 0))
    assert level.p99()[0] == (1 << 63) - 1
