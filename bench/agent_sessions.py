"""Recorded agent sessions as steps of the run guard, and published runaway loops beside them.

All 676 sessions of the recording: 226 come with the package, 450 are in `bench/data`. Spend is the
list price of the recorded tokens; a step is recognised by agent and size of its input, as the guard
does with stored requests.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import polars as pl

from tokentide_jobs.core.guard.steps import RunKey, Step, fingerprint
from tokentide_jobs.core.price.pricing import price
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.replay.formats import claude_code
from tokentide_jobs.replay.packaged import DATA

__all__ = ["LOOPS", "START_US", "Loop", "Session", "Sizes", "live_at", "merged", "sessions"]

FILES = (
    DATA / "claude_code_sessions.csv.gz",
    Path(__file__).parent / "data" / "claude_code_other_sessions.csv.gz",
)
START_US = 1_790_000_000_000_000
TENANT = "recorded"
PROMPT = "coding-agent"
_LOOP_INPUT = (180_000, 210_000)
"""Tokens of a step of the loop of $0.88 a minute, as published; of the others unknown."""
Sizes = Literal["same", "other", "growing"]
"""Of the input of a loop's steps: that of the step one cycle before, any other, or ever more."""
Session = list[Step]
"""The steps of one run in order of time."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A published runaway.

    Attributes:
        name: Spend a minute, as published.
        every_s: Seconds between two steps.
        cost_pico_usd: Of one step.
        cycle: Different steps of the loop.
    """

    name: str
    every_s: float
    cost_pico_usd: int
    cycle: int = 1

    def steps(self, from_us: int, for_s: float, sizes: Sizes, seed: int = 0) -> Session:
        """Return its steps.

        Args:
            from_us: When it begins.
            for_s: How long it lasts.
            sizes: How much input each step has.
            seed: Of inputs of another size.
        """
        number = int(for_s / self.every_s) + 1
        draw = random.Random(f"{seed}:sizes")
        drawn = [draw.randint(*_LOOP_INPUT) for _ in range(number)]
        input_tokens = {
            "same": [_LOOP_INPUT[0] + place % self.cycle for place in range(number)],
            "other": drawn,
            "growing": [_LOOP_INPUT[0] + place for place in range(number)],
        }[sizes]
        return [
            Step(
                RunKey(TENANT, f"loop {self.name}"),
                from_us + int(place * self.every_s * 1e6),
                "main",
                "user-1",
                self.cost_pico_usd,
                fingerprint=fingerprint("main", PROMPT, "", size),
                input_tokens=size,
            )
            for place, size in enumerate(input_tokens)
        ]


LOOPS = (
    # 24,847 calls in 9 h 14 min for $3,218
    Loop("$5.81/min", 554 * 60 / 24_847, 3_218 * 10**12 // 24_847),
    # $47,000 in 11 days, two agents that hand one task back and forth; six calls a minute assumed
    Loop("$2.97/min", 10.0, 2_970_000_000_000 // 6, cycle=2),
    # one call every 40 s, $200 until it was noticed
    Loop("$0.88/min", 40.0, 880_000_000_000 * 2 // 3),
)


@cache
def sessions() -> tuple[Session, ...]:
    """Return every recorded session, priced, each beginning at `START_US`."""
    calls = [call for path in FILES for call in claude_code.read(path, 0)]
    columns: dict[str, list[object]] = {
        "started_at_us": [START_US] * len(calls),
        "provider": ["anthropic"] * len(calls),
        "status": ["ok"] * len(calls),
        "usage_source": ["provider"] * len(calls),
        "request_model": [call.model for call in calls],
        "tenant": [TENANT] * len(calls),
        "input_tokens": [call.input_tokens for call in calls],
        "output_tokens": [call.output_tokens for call in calls],
        "cache_read_tokens": [call.cache_read_tokens for call in calls],
        "cache_write_tokens": [call.cache_write_tokens for call in calls],
    }
    costs = price(pl.DataFrame(columns), compile_cards())["cost_pico_usd"].to_list()
    began: dict[str, float] = {}
    found: dict[str, Session] = defaultdict(list)
    for call, cost in zip(calls, costs, strict=True):
        agent = call.agent or "main"
        at_s = call.at_s - began.setdefault(call.lane, call.at_s)
        found[call.lane].append(
            Step(
                RunKey(TENANT, call.lane),
                START_US + int(at_s * 1e6),
                agent,
                "",
                cost,
                call.input_tokens + call.output_tokens,
                fingerprint=fingerprint(agent, PROMPT, "", call.input_tokens),
                input_tokens=call.input_tokens,
            )
        )
    return tuple(found[lane] for lane in sorted(found))


def live_at(chosen: list[Session], at_us: int, seed: int) -> list[Session]:
    """Move sessions in time so that `at_us` falls at a random place within each."""
    draw = random.Random(f"{seed}:live")
    moved = []
    for session in chosen:
        span_us = session[-1].at_us - session[0].at_us
        begin_us = at_us - int(span_us * draw.uniform(0.05, 0.95))
        shift_us = begin_us - session[0].at_us
        moved.append([step._replace(at_us=step.at_us + shift_us) for step in session])
    return moved


def merged(chosen: list[Session]) -> Iterator[Step]:
    """Yield the steps of several runs in order of time."""
    return heapq.merge(*chosen, key=lambda step: step.at_us)
