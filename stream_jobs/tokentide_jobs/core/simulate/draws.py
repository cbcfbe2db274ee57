"""From conditions to what was observed: counts, sums and quantiles of every minute and key.

Counts are Poisson and binomial. Sums of n log-normal token counts are drawn at once, log-normal
with the moments of the sum; quantiles are drawn as order statistics of log-logistic values. Both
cost the same for two requests as for two thousand.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.quantiles import representative
from tokentide_jobs.core.simulate.conditions import Conditions
from tokentide_jobs.core.simulate.population import Population
from tokentide_jobs.core.window.histogram import buckets_of

__all__ = ["draw"]

Floats = NDArray[np.float64]

_STREAMED: Final = 0.7
_CACHED_PART: Final = 0.9
"""Of the input of a request that finds its prompt in the cache."""
_FEEDBACK_SHARE: Final = 0.03
_SCORE_CONCENTRATION: Final = 5.0
_TTFT_SHAPE: Final = 0.22
_TPS_SHAPE: Final = 0.15


def draw(
    population: Population, conditions: Conditions, random: np.random.Generator
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Draw one day.

    Returns:
        Sums as windows have them, and quantiles by metric; minute, key.
    """
    c = conditions
    requests = random.poisson(c.requests)
    errors = random.binomial(requests, np.clip(c.errors, 0, 1))
    limited = random.binomial(requests - errors, np.clip(c.rate_limits, 0, 1))
    answered = requests - errors - limited
    refused = random.binomial(answered, c.refused)
    truncated = random.binomial(answered - refused, c.truncated)
    hits = random.binomial(answered, c.cached)
    sigma = population.token_sigma
    of_hits = _sum_of(hits, c.input_tokens, sigma, random)
    inputs = of_hits + _sum_of(answered - hits, c.input_tokens, sigma, random)
    outputs = _sum_of(answered, c.output_tokens, sigma, random)
    cached = _CACHED_PART * of_hits
    second = random.binomial(answered, population.second_share) / np.maximum(answered, 1)
    rate = population.input_pico_usd * c.price * (1 - second * (1 - population.second_price))
    cost_input, cost_output = (inputs - cached) * rate, outputs * rate * population.output_price
    judged = random.binomial(answered, population.judged_share)
    rated = random.binomial(answered, _FEEDBACK_SHARE)
    streamed = random.binomial(answered, _STREAMED)
    sums = {
        "requests": requests,
        "errors": errors + limited,
        "errors_rate_limit": limited,
        "refused": refused,
        "filtered": np.zeros_like(requests),
        "truncated": truncated,
        "usage_missing": errors + limited,
        "unpriced": errors + limited,
        "input_tokens": inputs,
        "output_tokens": outputs,
        "cache_read_tokens": cached,
        "cache_write_tokens": np.zeros_like(cached),
        "cost_pico_usd": cost_input + cost_output + cached * rate * population.cache_price,
        "cost_input_pico_usd": cost_input,
        "cost_output_pico_usd": cost_output,
        "ttft_count": streamed,
        "evaluations_scored": judged,
        "evaluation_score_micro_sum": 1e6 * judged * _mean_score(judged, c.quality, random),
        "feedback_scored": rated,
        "feedback_score_micro_sum": 1e6 * (2.0 * random.binomial(rated, c.feedback) - rated),
    }
    shape = population.latency_shape
    quantiles = {
        "latency_p95_ms": _quantile_of(requests, 0.95, c.latency_ms, shape, random),
        "ttft_p50_ms": _quantile_of(streamed, 0.5, c.ttft_ms, _TTFT_SHAPE, random),
        "output_tps_p50": _quantile_of(answered, 0.5, c.output_tps, _TPS_SHAPE, random),
    }
    return {name: np.asarray(value, np.float64) for name, value in sums.items()}, quantiles


def _sum_of(
    n: NDArray[np.int64], mean: Floats, sigma: Floats, random: np.random.Generator
) -> Floats:
    """Draw the sum of n log-normal values (Fenton and Wilkinson); exact for one of them."""
    several = np.maximum(n, 1)
    variance = np.log1p(np.expm1(sigma**2) / several)
    factor = np.exp(np.sqrt(variance) * random.standard_normal(n.shape) - variance / 2)
    return np.where(n > 0, n * mean * factor, 0.0)


def _quantile_of(
    n: NDArray[np.int64],
    q: float,
    median: Floats,
    shape: Floats | float,
    random: np.random.Generator,
) -> Floats:
    """Draw the value of rank ceil(q n) among n, as its histogram gives it; NaN for none."""
    several = np.maximum(n, 1)
    rank = np.maximum(np.ceil(q * several), 1)
    below, above = random.standard_gamma(rank), random.standard_gamma(several - rank + 1)
    odds = np.clip(below / np.maximum(above, 1e-12), 1e-9, 1e9)
    values = representative(buckets_of((median * odds**shape).ravel())).reshape(n.shape)
    return np.where(n > 0, values, np.nan)


def _mean_score(n: NDArray[np.int64], mean: Floats, random: np.random.Generator) -> Floats:
    """Draw the mean of n scores between 0 and 1."""
    weight = _SCORE_CONCENTRATION * np.maximum(n, 1)
    return random.beta(mean * weight, (1 - mean) * weight)
