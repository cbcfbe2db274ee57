"""The whole state of a guard as bytes, and back: the restored one goes on bit for bit alike.

The first byte is the version of the format. Bytes of another version give no guard, and the caller
begins again or learns from stored history.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tokentide_jobs.core.guard.guard import RunGuard
from tokentide_jobs.core.guard.levels import FIGURES, WHOLE, Level
from tokentide_jobs.core.guard.ring import SpendRing
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.guard.run_state import RunState
from tokentide_jobs.core.guard.standstill import Standstill
from tokentide_jobs.core.guard.steps import RunKey
from tokentide_jobs.core.guard.streak import Streak

__all__ = ["from_bytes", "to_bytes"]

_VERSION: Final = b"\x02"
_WITHOUT_STANDSTILL: Final = b"\x01"
"""The version before: its runs and levels do not know which steps got on."""
_WIDTH_BEFORE: Final = FIGURES - 1


def to_bytes(guard: RunGuard) -> bytes:
    """Return the state; the same state gives the same bytes."""
    state = {
        "swept_us": guard.swept_us,
        "evicted": guard.evicted,
        "agents": [[*name, *_packed(level)] for name, level in guard.levels.agents.items()],
        "tenants": [[name, *_packed(level)] for name, level in guard.levels.tenants.items()],
        "live": [[*key, *_fields(run)] for key, run in guard.live.items()],
    }
    return _VERSION + json.dumps(state, separators=(",", ":")).encode()


def from_bytes(data: bytes, rules: GuardRules) -> RunGuard | None:
    """Return the guard whose state this is, under `rules`; None for another version."""
    version = data[:1]
    if version not in (_VERSION, _WITHOUT_STANDSTILL):
        return None
    level_of = Level if version == _VERSION else _level_of_before
    state = json.loads(data[1:])
    guard = RunGuard(rules)
    guard.swept_us, guard.evicted = state["swept_us"], state["evicted"]
    for tenant, agent, figures, next_place in state["agents"]:
        guard.levels.agents[tenant, agent] = level_of(figures, next_place)
    for tenant, figures, next_place in state["tenants"]:
        guard.levels.tenants[tenant] = level_of(figures, next_place)
    for tenant, run, *fields in state["live"]:
        if version == _WITHOUT_STANDSTILL:
            fields[-2:-2] = {}, None, 0
        guard.live[RunKey(tenant, run)] = _run(fields)
    return guard


def _level_of_before(figures: list[int], next_place: int) -> Level:
    """Return a level whose runs may have spent their ten minutes on steps that did not get on.

    That is the most that it can have been: no run is flagged for what is unknown.
    """
    runs = (figures[at : at + _WIDTH_BEFORE] for at in range(0, len(figures), _WIDTH_BEFORE))
    widened = (figure for run in runs for figure in (*run, run[WHOLE - 1]))
    return Level(widened, next_place)


def _packed(level: Level) -> tuple[list[int], int]:
    return level.figures.tolist(), level.next_place


def _fields(run: RunState) -> list[Any]:
    still = run.standstill
    return [
        run.first_us, run.last_us, run.agent, run.agent_us, run.user, run.user_us,
        run.spend_pico_usd, run.tokens, run.calls, run.errors,
        run.ring.entries.tolist(), run.ring.peaks,
        run.streak.last, run.streak.counts, run.streak.spend_pico_usd,
        still.sizes, still.ring and [still.ring.entries.tolist(), still.ring.peaks], still.peak,
        run.tools, run.broken,
    ]  # fmt: skip


def _run(fields: list[Any]) -> RunState:
    *sums, entries, peaks, last, counts, spend, sizes, stalled, peak, tools, broken = fields
    run = RunState(*sums)
    run.ring = SpendRing(entries, peaks)
    run.streak = Streak(last, counts, spend)
    run.standstill = Standstill(sizes, SpendRing(*stalled) if stalled else None, peak)
    run.tools = [(at_us, tool) for at_us, tool in tools]
    run.broken = tuple(broken)
    return run
