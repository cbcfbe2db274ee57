"""Steps that do not get on: what counts as one, what they cost, and what a run is held to."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from tests.stream_jobs.core.guard.test_guard import DOLLAR, RULES, SECOND, T0, experienced, step
from tokentide_jobs.core.guard.levels import STALLED, Level
from tokentide_jobs.core.guard.snapshot import from_bytes, to_bytes
from tokentide_jobs.core.guard.standstill import STALLED_STEPS, Standstill


def added(*sizes: int | None, every_s: float = 10, **fields: Any) -> tuple[Standstill, int]:
    """Return a standstill that saw steps of these sizes, at 25 cents each, and its last answer."""
    found, spend = Standstill(), 0
    for place, size in enumerate(sizes):
        spend, _steps = found.add(
            step(at_s=place * every_s, usd=0.25, input_tokens=size, **fields), is_late=False
        )
    return found, spend


def test_steps_whose_input_has_not_grown_count_and_others_do_not() -> None:
    assert added(*range(100, 200))[0].peak == 0
    assert added(*[100] * STALLED_STEPS)[0].peak == 0, "the first of them is compared with none"
    found, spend = added(*[100] * (STALLED_STEPS + 1))
    assert spend == found.peak == STALLED_STEPS * DOLLAR // 4
    assert added(9, 8, 7, 6, 5)[0].peak == DOLLAR
    assert added(9, 8, 9, 7, 9, 6, 9, 5)[0].peak == DOLLAR, "it need not be all of them"


def test_those_of_more_than_ten_minutes_ago_do_not_count() -> None:
    assert added(9, 8, 7, 6, 5, every_s=200)[0].peak == 0
    assert added(9, 8, 7, 6, 5, every_s=190)[0].peak == DOLLAR


def test_a_step_without_a_size_or_late_changes_nothing() -> None:
    assert added(5, None, 4, None, 3, None, 2, None, 1)[0].peak == DOLLAR
    found = Standstill()
    for size in (5, 4, 3, 2, 1):
        found.add(step(usd=0.25, input_tokens=size), is_late=False)
        found.add(step(usd=100, input_tokens=0), is_late=True)
    assert found.peak == DOLLAR


def test_a_step_is_compared_with_the_last_one_of_its_agent_and_prompt() -> None:
    """Agents that work in turns on one task, each with a context of its own."""
    found = Standstill()
    for place in range(40):
        agent, size = ("writer", 50_000 + place) if place % 2 else ("critic", 900 + place)
        found.add(step(at_s=place, agent=agent, input_tokens=size), is_late=False)
    assert found.peak == 0
    for place in range(200):
        found.add(step(at_s=place, agent=f"a {place}", input_tokens=1), is_late=False)
    assert len(found.sizes) == 4


def test_a_run_that_pays_for_standing_still_is_named() -> None:
    draw = random.Random(5)
    sizes = [draw.randint(180_000, 210_000) for _ in range(40)]
    steps = [step(at_s=40 * n, usd=0.59, input_tokens=size) for n, size in enumerate(sizes)]
    (found, *_later) = experienced().observe(steps)
    assert (found.rule, found.allowed, found.window_us) == ("no_growth", 2 * DOLLAR, 600 * SECOND)
    grown = [after > before for before, after in pairwise(sizes)]
    at = (found.at_us - T0) // (40 * SECOND)
    assert found.stalled_steps == grown[:at].count(False) == STALLED_STEPS
    assert found.value == STALLED_STEPS * 59 * DOLLAR // 100
    assert (
        f"spent $2.36 in 10 minutes on {STALLED_STEPS} steps whose input had not grown, more"
        in (found.sentence)
    )
    assert "than the floor of $2.00" in found.sentence


def test_an_agent_whose_steps_are_apart_from_each_other_is_held_to_what_its_runs_spend() -> None:
    """A job that asks about one document after the other: its inputs do not grow."""
    guard = experienced()
    for _ in range(100):
        guard.learn("acme", "reader", (9 * DOLLAR, 9 * DOLLAR, 90 * DOLLAR, 4 * DOLLAR))
    assert guard.levels.limit("acme", "reader", STALLED).pico_usd == 6 * DOLLAR
    calm = [step(at_s=10 * n, usd=0.09, agent="reader", input_tokens=900) for n in range(300)]
    assert guard.observe(calm) == []


@pytest.mark.parametrize("sizes", [(), (9, 8), (9, 8, 7, 6, 5, 4)])
def test_a_restored_guard_goes_on_alike(sizes: tuple[int, ...]) -> None:
    guard = experienced()
    guard.observe(step(at_s=n, input_tokens=size) for n, size in enumerate(sizes))
    again = from_bytes(to_bytes(guard), RULES)
    assert again is not None
    rest = [step(at_s=10 + n, input_tokens=3 - n) for n in range(9)]
    assert again.observe(rest) == guard.observe(rest)
    assert to_bytes(again) == to_bytes(guard)


def test_a_state_of_the_version_before_keeps_its_limits_and_names_no_run_for_lack() -> None:
    guard = experienced()
    guard.observe([step(at_s=1, usd=0.1, input_tokens=7)])
    state = json.loads(to_bytes(guard)[1:])
    for level in (*state["agents"], *state["tenants"]):
        figures = level[-2]
        level[-2] = [figure for place, figure in enumerate(figures) if place % 4 != STALLED]
    for fields in state["live"]:
        del fields[-5:-2]
    before = b"\x01" + json.dumps(state).encode()
    found = from_bytes(before, RULES)
    assert found is not None
    assert found.levels.limit("acme", "coder", 1) == guard.levels.limit("acme", "coder", 1)
    whole = found.levels.limit("acme", "coder", STALLED)
    assert whole.pico_usd == guard.levels.limit("acme", "coder", 1).pico_usd
    assert found.live.keys() == guard.live.keys()
    found.observe([step(at_s=2, usd=0.1, input_tokens=7)])
    assert Level(found.levels.agents["acme", "coder"].figures).runs == 20
