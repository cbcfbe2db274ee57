"""Twelve minutes of the delta topic: plain traffic, a runaway run, a deploy and what it broke,
a budget that is used up."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import UTC
from functools import cache

from tests.stream_jobs.core.merge.delta_records import (
    DOLLAR,
    NOON_US,
    at,
    changes,
    mark,
    steps,
    subjects,
    window_rows,
    windows,
)
from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.merge.key_levels import DEFAULT_LEVELS

STEP_US = 20_000_000
MINUTES = 12
TICKS = 3 * MINUTES

QUICK = dataclasses.replace(Parameters(), silent_s=120, learning_s=180, least_values=2)
RULES = DetectRules(
    guard=GuardRules(rate_start_pico_usd=5 * DOLLAR, idle_us=600_000_000),
    parameters=QUICK,
    levels=tuple(level for level in DEFAULT_LEVELS if level != ("tenant",)),
    fast_levels=(("tenant",),),
)
"""Windows of both lengths are watched."""


def budget(name: str, scope: Scope, dollars: int) -> Budget:
    return Budget(
        name=name, scope=scope, period="day", zone=UTC, zone_name="UTC",
        amount_pico_usd=dollars * DOLLAR,
    )  # fmt: skip


BUDGETS = (
    budget("everything", Scope(), 100),
    budget("acme", Scope((("tenant", "acme"),)), 10),
    budget("one key", Scope(subject=("key", "key-7")), 3),
)


@cache
def recorded() -> tuple[DeltaRecord, ...]:
    """Return the records, in their order, with repetitions of whole batches as after crashes."""
    records: list[DeltaRecord] = []
    for tick in range(TICKS):
        start_us = NOON_US + tick * STEP_US
        now_us, first, end = start_us + STEP_US, 10 * tick, 10 * (tick + 1)
        fails = tick >= 18
        rows = [
            {
                "window_start": at(start_us), "tenant": tenant, "service": "chat", "model": "m",
                "provider": "p", "requests": 400 if fails else 4_000, "events": 400 + tick,
                "errors": 300 if fails else 0,
                "cost_pico_usd": 10**11 * (tick % 3 + 1) + 7, "input_tokens": 40_000,
                "output_tokens": 4_000, "latency_hist": [{"key": 340 + tick % 5, "value": 40}],
            }
            for tenant in ("acme", "globex")
        ]  # fmt: skip
        batch = [
            windows(window_rows(rows), first, end, stamp_us=now_us),
            subjects(
                [{"window_start": at(start_us), "kind": "key", "subject": "key-7", "requests": 3,
                  "cost_pico_usd": 10**11}],
                first, end, stamp_us=now_us,
            ),
            steps(
                [{"tenant": "acme", "run": run, "at_us": start_us + n, "agent": "critic",
                  "cost_pico_usd": cost, "tokens": 900 + tick, "tool": "search",
                  "input_tokens": 800 + tick}
                 for n, (run, cost) in enumerate((("calm", 10**9), ("wild", 7 * 10**11)))
                 if run == "calm" or tick < 20],
                first, end, stamp_us=now_us,
            ),
        ]  # fmt: skip
        if tick == 17:
            deploy = {"at_us": now_us, "kind": "deploy", "subject": "chat", "to_version": "42",
                      "service": "chat"}  # fmt: skip
            batch.append(changes([deploy], first, end, stamp_us=now_us))
        records += batch
        if tick % 7 == 3:
            records += batch[: 1 + tick % 3]
        records.append(mark(now_us, end, stamp_us=now_us + 1))
        if tick % 11 == 5:
            records += [replace(one, stamp_us=now_us + 2) for one in batch]
    return tuple(replace(one, offset=n) for n, one in enumerate(records))
