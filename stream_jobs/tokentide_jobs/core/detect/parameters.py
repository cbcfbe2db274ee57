"""Every number that a detector decides by, in one frozen object.

Rates of learning are stated for windows of a minute and rescaled to other lengths, so that memory
is the same stretch of time; what sets the speed of reaction is counted in windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from tokentide_jobs.core.tables import DAY_S

__all__ = ["LevelParameters", "Parameters", "RatioParameters"]

_BASE_S: Final = 60


@dataclass(frozen=True, slots=True)
class LevelParameters:
    """The test of one level: a latency, a price, a score. Sizes are on the scale of the metric."""

    dead_zone: float
    """Differences up to this say nothing."""
    least_effect: float
    """An alarm needs a difference above this in its last window."""
    direction: Literal["up", "down", "both"]
    shrink_n: float
    """Observations that the expectation is worth where the envelope looks at a small window."""
    pool_n: float = 0.0
    """Windows are put together until they hold so many observations; 0: each stands alone."""
    gate_effect: float = 0.0
    """The difference that a hit of the gate needs; 0: alarms need no gate."""
    gate_margin: float = 0.0
    """How far beyond its extremes a hit lies, as a share of their distance."""
    learning: float = 1.0
    """Share of the usual rate at which its season is learned: prices have none."""


@dataclass(frozen=True, slots=True)
class RatioParameters:
    """The tests of one ratio: `rise` with a severe pair beside it, or `drop`."""

    direction: Literal["rise", "drop"]
    prior_ratio: float
    prior_n: float
    shrink_n: float
    evidence_per_n: float = 1.0
    """What an observation is worth: below 1 where they are of unequal weight."""


def _levels() -> Mapping[str, LevelParameters]:
    return MappingProxyType(
        {
            "latency_p95_ms": LevelParameters(
                0.22, 0.25, "up", 20, pool_n=40, gate_effect=0.25, gate_margin=0.03
            ),
            "ttft_p50_ms": LevelParameters(
                0.18, 0.20, "up", 20, pool_n=10, gate_effect=0.15, gate_margin=0.01
            ),
            "output_tps_p50": LevelParameters(
                0.22, 0.25, "down", 20, pool_n=10, gate_effect=0.20, gate_margin=0.03
            ),
            "cost_usd_per_minute": LevelParameters(
                0.35, 0.40, "up", 0, gate_effect=0.40, gate_margin=0.10
            ),
            "unit_price": LevelParameters(0.06, 0.08, "both", 30, pool_n=3, learning=0.25),
            "tokens_per_request": LevelParameters(0.14, 0.20, "up", 30, pool_n=20),
            "quality_score": LevelParameters(0.025, 0.03, "down", 20, pool_n=30),
            "feedback_score": LevelParameters(0.05, 0.06, "down", 20, pool_n=50),
        }
    )


def _ratios() -> Mapping[str, RatioParameters]:
    return MappingProxyType(
        {
            "error_ratio": RatioParameters("rise", 0.005, 200, 40),
            "rate_limit_ratio": RatioParameters("rise", 0.005, 200, 40),
            "refused_ratio": RatioParameters("rise", 0.005, 200, 40),
            "truncated_ratio": RatioParameters("rise", 0.02, 200, 40),
            "cache_hit_ratio": RatioParameters("drop", 0.0, 200, 30, 0.5),
        }
    )


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of all detectors."""

    window_s: int = 60
    levels: Mapping[str, LevelParameters] = field(default_factory=_levels)
    ratios: Mapping[str, RatioParameters] = field(default_factory=_ratios)

    # what is expected
    season_rate: float = 0.004
    hour_rate: float = 0.025
    sigma_rate: float = 0.001
    sigma_learned_n: int = 30
    """Windows of a class of n before its sigma is used."""
    winsor_sigmas: float = 3.0
    open_learning: float = 0.1
    """Share of the usual learning while an alarm is open."""

    # the envelope: all its streams, and what it announces
    sensitivity: float = 0.045
    bound_half_life_s: int = 52 * DAY_S
    level_half_life_s: int = 7 * DAY_S
    throttle_half_life_s: int = 900_000
    refractory_half_life_s: int = 24_000
    least_values: int = 100
    """Values of a stream before it is judged."""

    # the gate
    gate_bound_half_life_s: int = 69 * DAY_S
    gate_memory: int = 15
    """Windows for which a hit opens the gate."""

    # the dead-zone CUSUM of levels
    level_threshold: float = 9.0
    drift: float = 0.5
    largest_step: float = 3.0

    # log-likelihood ratios of ratios and requests
    ratio_threshold: float = 18.0
    severe_threshold: float = 10.0
    ratio_memory_n: float = 50_000.0

    # opening and closing
    silent_s: int = 3 * DAY_S
    """A metric of a key raises nothing before it is this old."""
    learning_s: int = 7 * DAY_S
    """Before this age an alarm is marked as one of a young baseline."""
    close_windows: int = 10
    """Windows with evidence below half the threshold that close an alarm."""
    cooldown_s: int = 1_800
    adopt_after_s: int = DAY_S
    """An alarm that stays open this long is the new normal."""
    forget_after_s: int = 21 * DAY_S
    """A key without an observation for this long is forgotten."""
    most_keys: int = 50_000
    """Keys that are held; beyond, new ones are passed over until others are forgotten."""

    def per_window(self, rate: float) -> float:
        """Return a rate of learning, stated for a minute, for one window."""
        return float(1 - (1 - rate) ** (self.window_s / _BASE_S))

    def keep(self, half_life_s: int) -> float:
        """Return what one window leaves of something with this half-life."""
        return float(2 ** (-self.window_s / half_life_s))

    def windows(self, duration_s: int) -> int:
        """Return how many windows a duration is."""
        return max(1, duration_s // self.window_s)
