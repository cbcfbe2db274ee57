"""Runs that broke a rule and go on: how each stands, and when it was last reported to services.

A run is taken out when the guard does not hold it any more, and is reported once more as over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from tokentide_jobs.core.decide.decisions import RunNow
from tokentide_jobs.core.guard.guard import RunGuard
from tokentide_jobs.core.guard.steps import RunKey
from tokentide_jobs.core.guard.verdict import Verdict

__all__ = ["FlaggedRuns"]


@dataclass(slots=True)
class _Flagged:
    """When its state was reported, its calls by then, whether it is to stop, and why."""

    reported_us: int
    calls: int
    is_to_stop: bool
    sentence: str


class FlaggedRuns:
    """Those of one guard, in the order in which they were flagged."""

    def __init__(self) -> None:
        self._flagged: dict[RunKey, _Flagged] = {}

    def __contains__(self, key: RunKey) -> bool:
        return key in self._flagged

    def flag(self, verdict: Verdict, guard: RunGuard, now_us: int) -> RunNow:
        """Take in a run that broke a rule; return how it stands, which counts as reported."""
        is_set = verdict.limit is not None and verdict.limit.basis == "budget"
        known = self._flagged.get(verdict.key)
        is_to_stop = is_set or (known is not None and known.is_to_stop)
        self._flagged[verdict.key] = _Flagged(0, 0, is_to_stop, verdict.sentence)
        return self._reported(verdict.key, guard, now_us)

    def reported(self, guard: RunGuard, now_us: int, every_us: int) -> Iterator[RunNow]:
        """Yield the runs that ended, or went on and were not reported for so long; now they are."""
        for key, flagged in list(self._flagged.items()):
            run = guard.live.get(key)
            is_due = now_us - flagged.reported_us >= every_us
            if run is None or (is_due and run.calls != flagged.calls):
                yield self._reported(key, guard, now_us)

    def standing(self, guard: RunGuard, now_us: int) -> list[RunNow]:
        """Return how every run stands; nothing counts as reported."""
        return [self._now(key, guard, now_us) for key in self._flagged]

    def to_rows(self) -> list[Any]:
        """Return everything as plain values."""
        return [[*key, *astuple(one)] for key, one in self._flagged.items()]

    @classmethod
    def from_rows(cls, rows: Sequence[Any]) -> FlaggedRuns:
        """Return what `to_rows` was called on."""
        found = cls()
        found._flagged = {
            RunKey(tenant, run): _Flagged(*reported) for tenant, run, *reported in rows
        }
        return found

    def _reported(self, key: RunKey, guard: RunGuard, now_us: int) -> RunNow:
        now = self._now(key, guard, now_us)
        if now.is_over:
            del self._flagged[key]
        else:
            flagged = self._flagged[key]
            flagged.reported_us, flagged.calls = now_us, now.calls
        return now

    def _now(self, key: RunKey, guard: RunGuard, now_us: int) -> RunNow:
        run, flagged = guard.live.get(key), self._flagged[key]
        if run is None:
            return RunNow(key=key, at_us=now_us, is_over=True)
        return RunNow(
            key=key,
            at_us=now_us,
            is_over=False,
            agent=run.agent,
            user=run.user,
            rules=run.broken,
            is_to_stop=flagged.is_to_stop,
            reason=flagged.sentence,
            spend_pico_usd=run.spend_pico_usd,
            per_minute_pico_usd=run.per_minute_pico_usd(run.ring.recent_pico_usd()),
            calls=run.calls,
            last_step_us=run.last_us,
        )
