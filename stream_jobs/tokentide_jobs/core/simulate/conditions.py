"""The conditions of every key in every minute of a day, before chance decides what happens.

Days and weekends have their shape; noise is autocorrelated, as it is in life: what was slow a
minute ago is slow now. Some minutes stand out alone (blips), and some keys run a job every day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.simulate.population import Population

__all__ = ["MINUTES", "Conditions", "days_of", "split"]

Floats = NDArray[np.float64]

MINUTES: Final = 1_440
"""Of a day: conditions hold for a minute."""
_FIRST_MONDAY: Final = 20_458
"""Days since the epoch: 2026-01-05."""

_NOISE: Final = (
    # channel, sigma, memory of one minute
    ("requests", 0.10, 0.97),
    ("tokens", 0.04, 0.98),
    ("latency", 0.07, 0.95),
    ("ttft", 0.06, 0.95),
    ("tps", 0.05, 0.95),
    ("errors", 0.40, 0.90),
    ("cache", 0.05, 0.98),
    ("quality", 0.006, 0.99),
    # what wanders over hours
    ("requests", 0.06, 0.998),
    ("tokens", 0.03, 0.999),
    ("latency", 0.05, 0.998),
)
_CHANNELS: Final = ("requests", "tokens", "latency", "ttft", "tps", "errors", "cache", "quality")
_BLIPS_PER_DAY: Final = 0.5
_BLIPPED: Final = ("requests", "tokens", "latency", "ttft", "errors")
_DAY_TO_DAY: Final = 0.06
"""Sigma of a whole day's traffic, as a logarithm."""
_TURN_MINUTES: Final = 360
"""Traffic turns from one day's to the next one's within the first hours, not at a stroke."""
_JOB_JITTER_MINUTES: Final = 5.0


@dataclass(slots=True)
class Conditions:
    """One day: minute, key. Faults change these fields."""

    day: int
    """Days since the epoch."""
    requests: Floats
    """Expected requests in the minute."""
    input_tokens: Floats
    output_tokens: Floats
    price: Floats
    """A factor."""
    latency_ms: Floats
    ttft_ms: Floats
    output_tps: Floats
    errors: Floats
    rate_limits: Floats
    refused: Floats
    truncated: Floats
    cached: Floats
    quality: Floats
    feedback: Floats


def days_of(population: Population, days: int, random: np.random.Generator) -> Iterator[Conditions]:
    """Yield the conditions of successive days, the first on a random day of the week."""
    size = len(population.keys)
    first = _FIRST_MONDAY + int(random.integers(0, 7))
    states = random.standard_normal((len(_NOISE), size))
    before = _size_of_day(population, first - 1, random)
    for day in range(first, first + days):
        noise = _noise(states, random)
        now = _size_of_day(population, day, random)
        turn = np.minimum(np.arange(MINUTES) / _TURN_MINUTES, 1.0)[:, None]
        yield _day(population, day, np.exp(before + turn * (now - before)), noise, random)
        before = now


def split(conditions: Conditions, parts: int) -> Conditions:
    """Return a day by parts of minutes, in each of which the conditions of its minute hold."""
    finer = {
        one.name: np.repeat(getattr(conditions, one.name), parts, axis=0)
        for one in fields(conditions)
        if one.name != "day"
    }
    finer["requests"] /= parts
    return Conditions(day=conditions.day, **finer)


def _size_of_day(population: Population, day: int, random: np.random.Generator) -> Floats:
    """Return the logarithm of a day's traffic, as a share of a usual weekday's."""
    weekend = np.log(population.weekend) if (day + 3) % 7 >= 5 else 0.0
    return weekend + _DAY_TO_DAY * random.standard_normal(len(population.keys))


def _noise(states: Floats, random: np.random.Generator) -> dict[str, Floats]:
    """Draw a day of autocorrelated noise by channel; `states` goes on, in place."""
    memory = np.array([one[2] for one in _NOISE])[:, None]
    fresh = np.sqrt(1 - memory**2)
    drawn = random.standard_normal((MINUTES, *states.shape))
    series = np.empty_like(drawn)
    for minute in range(MINUTES):
        states *= memory
        states += fresh * drawn[minute]
        series[minute] = states
    noise = {channel: np.zeros((MINUTES, states.shape[1])) for channel in _CHANNELS}
    for place, (channel, sigma, _memory) in enumerate(_NOISE):
        noise[channel] += sigma * series[:, place]
    return noise


def _day(
    population: Population,
    day: int,
    size_of_day: Floats,
    noise: dict[str, Floats],
    random: np.random.Generator,
) -> Conditions:
    p, size = population, len(population.keys)
    minutes = np.arange(MINUTES)[:, None]
    angle = 2 * np.pi * (minutes / 60 - p.peak_hour) / 24
    blips = _blips(size, random)
    job = _daily_job(p, minutes, random)

    def level(base: Floats, channel: str) -> Floats:
        return base * np.exp(noise[channel]) * blips.get(channel, 1.0)

    traffic = p.requests_per_minute * size_of_day * np.exp(p.daily_amplitude * np.cos(angle))
    errors = np.exp(noise["errors"])
    return Conditions(
        day=day,
        requests=level(traffic, "requests") * (1 + job * (p.job_factor - 1)),
        input_tokens=level(p.input_tokens, "tokens") * (1 + 0.1 * job),
        output_tokens=level(p.output_tokens, "tokens"),
        price=np.ones((MINUTES, size)),
        latency_ms=level(p.latency_ms, "latency") * (1 + 0.1 * job),
        ttft_ms=level(p.ttft_ms, "ttft") * (1 + 0.1 * job),
        output_tps=level(p.output_tps, "tps"),
        errors=np.clip(p.error_ratio * errors * blips["errors"], 0, 0.5),
        rate_limits=np.clip(p.rate_limit_ratio * errors, 0, 0.4),
        refused=np.broadcast_to(p.refused_ratio, (MINUTES, size)).copy(),
        truncated=np.broadcast_to(p.truncated_ratio, (MINUTES, size)).copy(),
        cached=np.clip(p.cached_share * np.exp(noise["cache"]), 0, 0.95),
        quality=np.clip(p.quality + noise["quality"], 0.02, 0.98),
        feedback=np.clip(p.quality + noise["quality"], 0.02, 0.98),
    )


def _blips(size: int, random: np.random.Generator) -> dict[str, Floats]:
    """Draw single minutes in which one channel of a key is 2 to 6 times itself."""
    factors = {channel: np.ones((MINUTES, size)) for channel in _BLIPPED}
    for key in np.flatnonzero(random.uniform(0, 1, size) < _BLIPS_PER_DAY).tolist():
        channel = _BLIPPED[int(random.integers(0, len(_BLIPPED)))]
        factors[channel][int(random.integers(0, MINUTES)), key] = random.uniform(2, 6)
    return factors


def _daily_job(
    population: Population, minutes: NDArray[np.int64], random: np.random.Generator
) -> Floats:
    """Return 1 where the daily job of a key runs, which begins a few minutes early or late."""
    jitter = _JOB_JITTER_MINUTES * random.standard_normal(len(population.keys))
    begin = population.job_minute + jitter
    runs = (minutes >= begin) & (minutes < begin + population.job_minutes)
    return (runs & (population.job_minute >= 0)).astype(np.float64)
