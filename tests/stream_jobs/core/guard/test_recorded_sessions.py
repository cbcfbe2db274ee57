"""The guard on recorded agent sessions: learned on one half, right about the other half.

`python -m bench run_guard` measures the same over more splits, with costs.
"""

from __future__ import annotations

import pytest

from bench.agent_sessions import LOOPS, Loop, Session, Sizes
from bench.run_guard import delay_s, earliest_s, false_alarms, learned, split
from tests.sampling import share

SEED = 11


@pytest.fixture(scope="module")
def held_out() -> list[Session]:
    return split(SEED)[1]


@pytest.fixture(scope="module")
def state() -> bytes:
    return learned(split(SEED)[0], SEED)


def test_no_run_of_the_other_half_is_named(state: bytes, held_out: list[Session]) -> None:
    assert len(held_out) >= 300
    assert false_alarms(state, held_out) == []


@pytest.mark.parametrize(
    ("loop", "sizes", "within_s", "rule"),
    share(
        [
            (LOOPS[0], "same", 120, "repeats"),
            (LOOPS[0], "other", 120, "no_growth"),
            (LOOPS[0], "growing", 120, "spend_rate"),
            (LOOPS[1], "same", 120, "repeats"),
            (LOOPS[1], "other", 180, "no_growth"),
            (LOOPS[1], "growing", 300, "spend_rate"),
            (LOOPS[2], "same", 300, "no_growth"),
            (LOOPS[2], "other", 600, "no_growth"),
            (LOOPS[2], "growing", 5_400, "budget"),
        ],
        of=2,
    ),
)
def test_a_published_loop_is_named_beside_200_live_runs_and_nothing_else_is(
    state: bytes,
    held_out: list[Session],
    loop: Loop,
    sizes: Sizes,
    within_s: int,
    rule: str,
) -> None:
    delay, named_by, others = delay_s(state, held_out, loop, SEED, sizes)
    assert delay is not None
    assert delay <= within_s
    assert (named_by, others) == (rule, 0)


@pytest.mark.parametrize(
    ("loop", "allowed", "at_s"),
    share(
        [(LOOPS[1], 0, 140.0), (LOOPS[1], 6, 120.0), (LOOPS[2], 6, 560.0), (LOOPS[2], 0, 760.0)],
        of=2,
    ),
)
def test_spend_alone_tells_a_loop_of_different_steps_no_sooner(
    loop: Loop, allowed: int, at_s: float
) -> None:
    assert earliest_s(loop, allowed) == at_s
