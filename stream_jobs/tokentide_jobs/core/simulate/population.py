"""Who is simulated: services of three volumes, each with a size, a price, a speed and habits.

Everything is drawn from the generator that is given, so that a seed is a population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeyGroup", "Population", "Volume", "populate"]

Floats = NDArray[np.float64]
Volume = Literal["high", "mid", "low"]

_REQUESTS_PER_MINUTE: Final = {"high": (300, 2_000), "mid": (10, 100), "low": (0.05, 2)}
_JUDGED: Final = {"high": 0.05, "mid": 0.20, "low": 0.50}
_DAILY_JOB_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """Some keys of one volume: `name-1`, `name-2` and so on."""

    name: str
    volume: Volume
    size: int


@dataclass(frozen=True, slots=True)
class Population:
    """One value a key of everything that does not change while it is simulated."""

    keys: tuple[str, ...]
    group_of: tuple[str, ...]
    requests_per_minute: Floats
    weekend: Floats
    """Traffic of a weekend day, as a share of a weekday's."""
    daily_amplitude: Floats
    """Amplitude of the day in the logarithm of traffic."""
    peak_hour: Floats
    input_tokens: Floats
    output_tokens: Floats
    token_sigma: Floats
    """Of the logarithm of one request's tokens."""
    input_pico_usd: Floats
    """Price of an input token."""
    output_price: Floats
    """Of an output token, in input tokens."""
    cache_price: Floats
    """Of a token read from the cache, in input tokens."""
    second_share: Floats
    """Of requests that go to a second model; 0 for half of the keys."""
    second_price: Floats
    """Its prices, as a share of the first one's."""
    latency_ms: Floats
    latency_shape: Floats
    """Of the log-logistic distribution of latency."""
    ttft_ms: Floats
    output_tps: Floats
    error_ratio: Floats
    rate_limit_ratio: Floats
    refused_ratio: Floats
    truncated_ratio: Floats
    cached_share: Floats
    """Of requests that find their prompt in the cache."""
    judged_share: Floats
    quality: Floats
    job_minute: Floats
    """When the daily job begins; negative: there is none."""
    job_minutes: Floats
    job_factor: Floats


def populate(groups: Sequence[KeyGroup], random: np.random.Generator) -> Population:
    """Draw a population."""
    volumes = [group.volume for group in groups for _ in range(group.size)]
    size = len(volumes)

    def between(low: float, high: float) -> Floats:
        return random.uniform(low, high, size)

    def scattered(low: float, high: float) -> Floats:
        return np.exp(random.uniform(np.log(low), np.log(high), size))

    ranges = np.array([_REQUESTS_PER_MINUTE[volume] for volume in volumes])
    share = random.uniform(0, 1, size)
    has_job = random.uniform(0, 1, size) < _DAILY_JOB_SHARE
    return Population(
        keys=tuple(f"{g.name}-{i + 1}" for g in groups for i in range(g.size)),
        group_of=tuple(g.name for g in groups for _ in range(g.size)),
        requests_per_minute=ranges[:, 0] * (ranges[:, 1] / ranges[:, 0]) ** share,
        weekend=between(0.3, 0.9),
        daily_amplitude=between(0.3, 0.9),
        peak_hour=between(8, 20),
        input_tokens=scattered(500, 8_000),
        output_tokens=scattered(100, 1_000),
        token_sigma=between(0.6, 0.9),
        input_pico_usd=scattered(0.15e6, 5e6),
        output_price=random.choice([4.0, 5.0, 6.0, 8.0], size),
        cache_price=random.choice([0.1, 0.25, 0.5], size),
        second_share=between(0.05, 0.5) * random.integers(0, 2, size),
        second_price=between(0.1, 1.0),
        latency_ms=scattered(800, 8_000),
        latency_shape=between(0.2, 0.35),
        ttft_ms=scattered(200, 1_500),
        output_tps=scattered(30, 150),
        error_ratio=scattered(0.001, 0.01),
        rate_limit_ratio=scattered(0.0002, 0.005),
        refused_ratio=scattered(0.0005, 0.01),
        truncated_ratio=scattered(0.005, 0.04),
        cached_share=between(0.3, 0.8),
        judged_share=np.array([_JUDGED[volume] for volume in volumes]),
        quality=between(0.75, 0.92),
        job_minute=np.where(has_job, np.floor(between(0, 1_380)), -1),
        job_minutes=np.floor(between(15, 45)),
        job_factor=between(1.5, 2.8),
    )
