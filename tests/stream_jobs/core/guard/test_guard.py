"""The guard over single runs: its three rules, what a verdict says, and its bounds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tokentide_jobs.core.guard.guard import RunGuard
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.guard.snapshot import from_bytes, to_bytes
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.guard.verdict import Verdict

T0 = 1_790_000_000_000_000
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DOLLAR = 10**12
RULES = GuardRules(min_runs=10)


def step(run: str = "r1", at_s: float = 0, usd: float = 0.5, **fields: Any) -> Step:
    known = {"agent": "coder", "user": "u1"} | fields
    at_us = T0 + int(at_s * SECOND)
    return Step(RunKey("acme", run), at_us, cost_pico_usd=int(usd * DOLLAR), **known)


def loop(count: int, every_s: float, usd: float, **fields: Any) -> list[Step]:
    return [step(at_s=place * every_s, usd=usd, **fields) for place in range(count)]


def experienced(rules: GuardRules = RULES) -> RunGuard:
    """Return a guard that knows twenty runs of up to $2 in 2 minutes, $4 in 10, $10 in all."""
    guard = RunGuard(rules)
    for number in range(1, 21):
        guard.learn("acme", "coder", tuple(d * number * DOLLAR // 20 for d in (2, 4, 10, 0)))
    return guard


def first(verdicts: list[Verdict], rule: str) -> Verdict:
    return next(verdict for verdict in verdicts if verdict.rule == rule)


def test_spend_faster_than_the_agents_runs_is_named_with_its_evidence() -> None:
    steps = [
        step(at_s=place * 30, usd=0.5, tool=tool)
        for place, tool in enumerate(
            ["search", "read", "search", "write", "run", "run", "test"] * 3
        )
    ]
    verdicts = experienced().observe(steps)
    (found,) = verdicts
    assert found.key == RunKey("acme", "r1")
    assert (found.agent, found.user, found.rule) == ("coder", "u1", "spend_rate")
    assert (found.value, found.allowed) == (65 * DOLLAR // 10, 6 * DOLLAR)
    assert found.window_us == 600 * SECOND
    assert found.at_us == T0 + 360 * SECOND
    assert found.tools == ("run", "run", "write", "search", "read")
    assert (found.calls, found.recent_calls) == (13, 13)
    assert found.sentence == (
        "run r1 (agent coder, tenant acme, user u1) spent $6.50 in 10 minutes, more than $6.00 "
        "(1.5 times $4.00: 99% of the last 20 runs of agent coder stayed at or below that); "
        "$6.50 in 13 calls so far, $1.05 a minute; last tools: run x2, write, search, read"
    )


def test_a_burst_is_named_by_the_short_window_before_ten_minutes_are_full() -> None:
    found = first(experienced().observe(loop(30, 5, 0.5)), "spend_rate")
    assert found.window_us == 120 * SECOND
    assert found.at_us == T0 + 30 * SECOND


def test_a_slow_run_is_named_by_what_it_spent_in_all() -> None:
    found = experienced().observe(loop(60, 900, 0.5))
    assert [verdict.rule for verdict in found] == ["budget"]
    assert found[0].value == 205 * DOLLAR // 10
    assert "spent $20.50 in all, more than $20.00 (2 times $10.00" in found[0].sentence


def test_a_set_budget_needs_no_history() -> None:
    guard = RunGuard(GuardRules(budget_pico_usd=2 * DOLLAR))
    (found,) = guard.observe(loop(6, 900, 0.5))
    assert found.reason == "the budget of $2.00 a run"
    assert found.at_us == T0 + 4 * 900 * SECOND


def test_repeated_steps_are_named_once_they_cost_something() -> None:
    (found,) = experienced().observe(loop(20, 60, 0.2, fingerprint=9))
    assert (found.rule, found.value, found.allowed, found.cycle) == ("repeats", 8, 8, 1)
    assert found.repeats_pico_usd == 16 * DOLLAR // 10
    assert (
        "repeats one step: 8 repeated steps in a row for $1.60, and 8 are too many"
        in found.sentence
    )
    cheap = experienced().observe(loop(50, 60, 0.0, fingerprint=9))
    assert cheap == []
    (free,) = experienced().observe(loop(51, 60, 0.0, fingerprint=9))
    assert (free.value, free.repeats_pico_usd) == (50, 0)
    assert free.allowed == 50


def test_two_agents_that_hand_a_task_back_and_forth_are_a_cycle() -> None:
    steps = [
        step(at_s=place * 20, usd=0.2, agent=agent, fingerprint=number)
        for place in range(0, 20, 2)
        for number, agent in enumerate(("writer", "critic"), start=place % 2 + 1)
    ]
    (found,) = experienced().observe(steps)
    assert (found.rule, found.cycle) == ("repeats", 2)
    assert "repeats a cycle of 2 steps" in found.sentence


def test_a_run_breaks_each_rule_once() -> None:
    verdicts = experienced().observe(loop(500, 5, 0.5, fingerprint=9))
    assert sorted(verdict.rule for verdict in verdicts) == ["budget", "repeats", "spend_rate"]


def test_before_anything_is_learned_the_start_values_hold() -> None:
    guard = RunGuard(RULES)
    assert guard.observe(loop(50, 5, 0.5)) == []
    (found,) = guard.observe([step(at_s=250, usd=0.5)])
    assert found.reason == "the start value of $25.00 (0 finished runs of the agent known)"


def test_a_run_that_goes_on_after_it_was_idle_is_a_new_run() -> None:
    guard = experienced()
    guard.observe([step(at_s=0, usd=9), step("r2", at_s=3_600, usd=1)])
    known = guard.levels.agents["acme", "coder"].runs
    assert guard.finish_idle(T0 + 2 * HOUR - 1) == 0
    assert guard.finish_idle(T0 + 2 * HOUR + 6 * 60 * SECOND) == 1
    assert list(guard.live) == [RunKey("acme", "r2")]
    assert guard.levels.agents["acme", "coder"].runs == known + 1
    guard.observe([step(at_s=7_300, usd=1)])
    assert guard.live[RunKey("acme", "r1")].spend_pico_usd == DOLLAR


def test_the_order_of_steps_changes_neither_sums_nor_names_nor_peaks() -> None:
    rng = random.Random(5)
    steps = [
        step(at_s=rng.randrange(550), usd=0.01, agent=agent, user=user, tool=f"tool {place}")
        for place, (agent, user) in enumerate([("", ""), ("a", "u"), ("b", "v")] * 20)
    ]
    states = []
    for _ in range(5):
        rng.shuffle(steps)
        guard = RunGuard(RULES)
        guard.observe(steps)
        states.append(to_bytes(guard))
    assert len(set(states)) == 1


def test_joined_steps_add_what_single_ones_add() -> None:
    one_by_one, joined = RunGuard(RULES), RunGuard(RULES)
    one_by_one.observe([step(usd=0.25), step(usd=0.5)])
    joined.observe([step(usd=0.75, calls=2)])
    assert to_bytes(one_by_one) == to_bytes(joined)
    assert joined.live[RunKey("acme", "r1")].calls == 2


def test_live_runs_are_bounded_and_those_that_spent_most_stay() -> None:
    guard = RunGuard(replace(RULES, live_runs=200))
    guard.observe([step("costly", usd=20)])
    guard.observe(step(f"run {number}", at_s=number, usd=0.001) for number in range(5_000))
    assert len(guard.live) <= 200
    assert RunKey("acme", "costly") in guard.live
    assert RunKey("acme", "run 4999") in guard.live
    assert guard.evicted == 5_001 - len(guard.live)
    assert guard.levels.agents == {}


def test_a_loop_among_many_new_runs_is_still_named() -> None:
    guard = experienced(replace(RULES, live_runs=200))
    crowd = (step(f"run {number}", at_s=number / 50, usd=0.001) for number in range(15_000))
    runaway = loop(60, 5, 0.5)
    ordered = sorted([*crowd, *runaway], key=lambda one: one.at_us)
    assert {verdict.key.run for verdict in guard.observe(ordered)} == {"r1"}


def mixed_traffic(seed: int) -> Iterator[Step]:
    rng = random.Random(seed)
    for place in range(3_000):
        run = rng.randrange(60) + place // 30
        yield step(
            f"run {run}",
            at_s=place * 20 - rng.randrange(300),
            usd=rng.random() ** 4,
            agent=rng.choice(["coder", "writer", ""]),
            tool=rng.choice(["", "search", "read\ud800"]),
            fingerprint=rng.randrange(3),
            errors=rng.randrange(2),
        )


def test_a_restored_guard_goes_on_bit_for_bit_alike() -> None:
    steps = list(mixed_traffic(3))
    rules = replace(RULES, live_runs=60)
    whole, before = RunGuard(rules), RunGuard(rules)
    verdicts, others = [], []
    for at, one in enumerate(steps):
        whole.finish_idle(one.at_us)
        verdicts += whole.observe([one])
        if at % 500 == 250:
            state = to_bytes(before)
            restored = from_bytes(state, rules)
            assert restored is not None
            assert to_bytes(restored) == state
            before = restored
        before.finish_idle(one.at_us)
        others += before.observe([one])
    assert verdicts == others
    assert to_bytes(before) == to_bytes(whole)
    assert verdicts
    assert whole.evicted
    assert whole.levels.agents


@pytest.mark.parametrize("data", [b"", b"\x03{}", b"\x00"])
def test_a_state_of_another_version_gives_no_guard(data: bytes) -> None:
    assert from_bytes(data, RULES) is None
