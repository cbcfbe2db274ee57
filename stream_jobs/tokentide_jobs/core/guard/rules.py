"""What the guard holds a run to: windows, floors, factors and bounds of memory.

Money is integer pico-USD and factors are integer thousandths, so that every threshold is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.tables import HOUR_US, WINDOW_US

__all__ = ["BUCKET_US", "RATE_WINDOWS_US", "RING_US", "GuardRules"]

BUCKET_US: Final = WINDOW_US
"""Spend is kept in buckets of this much event time: those of the deltas that ingest publishes."""
RATE_WINDOWS_US: Final = (120_000_000, 600_000_000)
"""Spans whose spend is compared: a loop of many calls shows in the first, a steady one later."""
RING_US: Final = 1_200_000_000
"""How far back buckets are kept: the longest window, and as much again for late steps."""
_DOLLAR: Final = 1_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """Floors, factors and bounds; section `run_guard` of detect.yaml.

    Attributes:
        rate_floor_pico_usd: Spend in any rate window that is never too fast.
        rate_factor_milli: Thousandths of the 99th percentile of runs' peaks that are still normal.
        rate_start_pico_usd: Least limit of a rate window while too few runs of the agent are known.
        budget_pico_usd: Budget of every run; None: learned.
        budget_floor_pico_usd: Spend of a whole run that is never too much, where it is learned.
        budget_factor_milli: Thousandths of the 99th percentile of whole runs that are normal.
        budget_start_pico_usd: Least limit of a whole run while too few runs of the agent are known.
        repeats: Steps in a row that repeat an earlier one, if they cost `repeats_pico_usd`.
        repeats_pico_usd: What repeated steps must have cost.
        repeats_free: Repeated steps in a row that are too many whatever they cost.
        min_runs: Finished runs that make a level: an agent, else all agents of the tenant.
        idle_us: A run without a step for this long is finished.
        live_runs: Runs in memory at most; the cheapest make room.
    """

    rate_floor_pico_usd: int = 2 * _DOLLAR
    rate_factor_milli: int = 1_500
    rate_start_pico_usd: int = 25 * _DOLLAR
    budget_pico_usd: int | None = None
    budget_floor_pico_usd: int = 10 * _DOLLAR
    budget_factor_milli: int = 2_000
    budget_start_pico_usd: int = 100 * _DOLLAR
    repeats: int = 8
    repeats_pico_usd: int = 1 * _DOLLAR
    repeats_free: int = 50
    min_runs: int = 100
    idle_us: int = 2 * HOUR_US
    live_runs: int = 20_000

    @property
    def least_limit_pico_usd(self) -> int:
        """Return what a run must spend at least before its spend can break any rule."""
        limits = (
            self.rate_floor_pico_usd,
            self.rate_start_pico_usd,
            self.budget_floor_pico_usd,
            self.budget_start_pico_usd,
            self.budget_pico_usd,
        )
        return min(limit for limit in limits if limit is not None)
