"""How soon the run guard names a runaway, how often it is wrong, and what it costs.

Learned on one half of 676 recorded agent sessions, tried on the other; published loops are put
beside 200 live runs of that other half. Every figure is over several splits.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Sequence
from statistics import median
from typing import get_args

from bench.agent_sessions import (
    LOOPS,
    START_US,
    Loop,
    Session,
    Sizes,
    live_at,
    merged,
    sessions,
)
from bench.progress import say
from tokentide_jobs.core.guard.guard import RunGuard
from tokentide_jobs.core.guard.levels import FIGURES
from tokentide_jobs.core.guard.rules import RATE_WINDOWS_US, GuardRules
from tokentide_jobs.core.guard.snapshot import from_bytes, to_bytes
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.tables import DAY_US, MINUTE_US

__all__ = ["delay_s", "earliest_s", "false_alarms", "learned", "measure", "split"]

_LIVE_RUNS = 200
_WATCHED_S = 4 * 3600.0
_SIZES = {"same": "the same size", "other": "another size", "growing": "growing size"}


def split(seed: int) -> tuple[list[Session], list[Session]]:
    """Return two halves of the recorded sessions."""
    shuffled = list(sessions())
    random.Random(f"{seed}:split").shuffle(shuffled)
    half = len(shuffled) // 2
    return shuffled[:half], shuffled[half:]


def learned(half: list[Session], seed: int, rules: GuardRules | None = None) -> bytes:
    """Return the state of a guard that saw these sessions begin within one day, and end."""
    draw = random.Random(f"{seed}:starts")
    guard = RunGuard(rules or GuardRules())
    spread = []
    for session in half:
        shift_us = int(draw.random() * DAY_US)
        spread.append([step._replace(at_us=step.at_us + shift_us) for step in session])
    last_us = 0
    for step in merged(spread):
        guard.finish_idle(step.at_us)
        guard.observe((step,))
        last_us = step.at_us
    guard.finish_idle(last_us + DAY_US)
    assert not guard.live
    return to_bytes(guard)


def restored(state: bytes) -> RunGuard:
    """Return a guard that goes on from a state."""
    guard = from_bytes(state, GuardRules())
    assert guard is not None
    return guard


def false_alarms(state: bytes, held_out: list[Session]) -> list[str]:
    """Return what the guard reports of whole sessions it did not learn; each is a false alarm."""
    guard = restored(state)
    return [verdict.sentence for verdict in guard.observe(merged(held_out))]


def delay_s(
    state: bytes, held_out: list[Session], loop: Loop, seed: int, sizes: Sizes
) -> tuple[float | None, str, int]:
    """Put a loop beside live runs.

    Returns:
        Seconds of event time until the loop is named (None: not within four hours), the rule that
        named it, and how many other runs were named.
    """
    guard, at_us = restored(state), START_US + 30 * DAY_US
    draw = random.Random(f"{seed}:beside")
    beside = live_at(draw.sample(held_out, _LIVE_RUNS), at_us, seed)
    runaway = loop.steps(at_us, _WATCHED_S, sizes, seed)
    end_us, wrong = runaway[-1].at_us, 0
    for step in merged([*beside, runaway]):
        if step.at_us > end_us:
            break
        for verdict in guard.observe((step,)):
            if verdict.key == runaway[0].key:
                return (verdict.at_us - at_us) / 1e6, verdict.rule, wrong
            wrong += 1
    return None, "", wrong


def earliest_s(loop: Loop, allowed: int) -> float:
    """Return how soon spend in one span of time can distinguish a loop from what is recorded.

    The span is as long as the loop has lasted, and the limit is read off all sessions, the held-out
    ones too: a rule that learns, with a margin, is later.

    Args:
        loop: The runaway; the sizes of its steps do not matter.
        allowed: Sessions that may have spent as much in a span of that length.
    """
    within_us = int(_WATCHED_S * 1e6)
    costly = [(session, sum(step.cost_pico_usd for step in session)) for session in sessions()]
    for calls in range(2, int(within_us / 1e6 / loop.every_s) + 2):
        span_us = int((calls - 1) * loop.every_s * 1e6)
        spent = calls * loop.cost_pico_usd
        # No span has more than the whole session.
        costly = [(session, whole) for session, whole in costly if whole >= spent]
        if sum(_peak(session, span_us) >= spent for session, _whole in costly) <= allowed:
            return span_us / 1e6
    raise ValueError(f"{loop.name}: spends no more than recorded sessions within {_WATCHED_S} s")


def _peak(session: Session, span_us: int) -> int:
    """Return the most that a session spent in a span, both of its ends counted in."""
    first = spent = highest = 0
    for step in session:
        spent += step.cost_pico_usd
        while session[first].at_us < step.at_us - span_us:
            spent -= session[first].cost_pico_usd
            first += 1
        highest = max(highest, spent)
    return highest


def measure(splits: int = 10) -> dict[str, object]:
    """Measure over several splits."""
    alarms, tried, limits = 0, 0, []
    delays: dict[str, list[float | None]] = {}
    rules: dict[str, set[str]] = {}
    wrong = 0
    for seed in range(splits):
        half, held_out = split(seed)
        state = learned(half, seed)
        levels = restored(state).levels
        limits.append([levels.limit("recorded", "main", p).pico_usd / 1e12 for p in range(FIGURES)])
        found = false_alarms(state, held_out)
        alarms, tried = alarms + len(found), tried + len(held_out)
        for loop in LOOPS:
            for sizes in get_args(Sizes):
                name = f"{loop.name}, input of {_SIZES[sizes]}"
                delay, rule, others = delay_s(state, held_out, loop, seed, sizes)
                delays.setdefault(name, []).append(delay)
                rules.setdefault(name, set()).add(rule)
                wrong += others
        say(f"split {seed}: limits {limits[-1]}, false {found}")
    names = [f"{window // MINUTE_US} min" for window in RATE_WINDOWS_US] + [
        "whole run",
        "10 min without growth",
    ]
    return {
        "splits": splits,
        "held_out_runs_tried": tried,
        "false_alarms": alarms,
        "other_runs_named_beside_loops": wrong,
        "limit_usd_median": {
            name: round(median(limit[place] for limit in limits), 2)
            for place, name in enumerate(names)
        },
        "named_after_s": {name: _spread(found, rules[name]) for name, found in delays.items()},
        "earliest_by_spend_s": {
            loop.name: {
                "0 false": earliest_s(loop, 0),
                "1 % false": earliest_s(loop, len(sessions()) // 100),
            }
            for loop in LOOPS
        },
        "cpu_ms_per_1000_steps": round(cpu_ms_per_1000(), 2),
        **memory(),
    }


def _spread(found: Sequence[float | None], rules: set[str]) -> dict[str, object]:
    known = [delay for delay in found if delay is not None]
    return {
        "median": round(median(known), 1) if known else "-",
        "longest": round(max(known), 1) if known else "-",
        "missed": len(found) - len(known),
        "rules": " ".join(sorted(rules)),
    }


def cpu_ms_per_1000(rounds: int = 3) -> float:
    """Return CPU per 1,000 steps of recorded sessions, learned limits and sweeps included."""
    half, held_out = split(0)
    state = learned(half, 0)
    steps = list(merged(live_at(held_out, START_US + 30 * DAY_US, 0)))
    best = float("inf")
    for _ in range(rounds):
        guard = restored(state)
        started = time.process_time()
        for step in steps:
            guard.observe((step,))
            guard.finish_idle(step.at_us)
        best = min(best, time.process_time() - started)
    return best * 1e6 / len(steps)


def memory(runs: int = 20_000, steps_each: int = 40) -> dict[str, object]:
    """Return the memory of a guard with this many live runs, and the size of its snapshot."""
    tracemalloc.start()
    guard = RunGuard(GuardRules())
    for place in range(steps_each):
        at_us = START_US + place * 20_000_000
        guard.observe(
            Step(
                RunKey("tenant", f"018f0000-0000-7000-8000-{run:012d}"), at_us + run, "main",
                "2f1c", 10**9 + run, 20_000, tool=f"tool {place % 7}", fingerprint=place + 1,
            )
            for run in range(runs)
        )  # fmt: skip
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    started = time.process_time()
    state = to_bytes(guard)
    wrote_s = time.process_time() - started
    started = time.process_time()
    from_bytes(state, GuardRules())
    return {
        "live_runs": len(guard.live),
        "memory_mib": round(held / 2**20, 1),
        "memory_bytes_per_run": held // runs,
        "snapshot_mib": round(len(state) / 2**20, 1),
        "snapshot_write_s": round(wrote_s, 2),
        "snapshot_read_s": round(time.process_time() - started, 2),
    }
