"""The metrics that detectors watch: how each is computed from the sums and histograms of a window.

A metric of a key in a window is a value and the number n of observations behind it. A value that
cannot be computed (no answer, no token, no score) is absent, NaN, and never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COST",
    "GATED",
    "LEVELS",
    "METRICS",
    "RATIOS",
    "REQUESTS",
    "Scale",
    "WindowMetric",
    "metric_at",
    "observe",
    "to_scale",
    "to_value",
]

Floats = NDArray[np.float64]
Scale = Literal["log", "linear", "arcsine"]
"""What a value is compared on: its logarithm, itself, or 2 asin(sqrt(ratio))."""

_PICO: Final = 1e-12
_MICRO: Final = 1e-6


@dataclass(frozen=True, slots=True)
class WindowMetric:
    """One metric: what it is the quotient or the quantile of, and on which scale it is compared."""

    name: str
    unit: str
    scale: Scale
    of: tuple[str, ...]
    """Sums of the numerator, those with a minus taken away. Empty for a quantile."""
    per: tuple[str, ...]
    """Sums of the denominator; empty: per window."""
    counted: tuple[str, ...]
    """What n is the sum of."""
    factor: float = 1.0
    floor: float = 0.0
    """Added before the logarithm: differences far below it do not matter."""
    histogram: str = ""
    quantile: float = 0.0


_ANSWERED: Final = ("requests", "-usage_missing")
_UNCACHED: Final = ("input_tokens", "-cache_read_tokens", "-cache_write_tokens")
_BLEND: Final = 0.75
"""Share of input in the blended price, three tokens of input to one of output: a fixed mix, so
that the unit price moves with prices and models alone. What the mix costs, the cost shows."""

METRICS: Final[tuple[WindowMetric, ...]] = (
    WindowMetric("latency_p95_ms", "ms", "log", (), (), ("requests",), 1.0, 10.0,
                 "latency_hist", 0.95),
    WindowMetric("ttft_p50_ms", "ms", "log", (), (), ("ttft_count",), 1.0, 10.0,
                 "ttft_hist", 0.5),
    WindowMetric("output_tps_p50", "tokens/s", "log", (), (), _ANSWERED, 1.0, 0.1,
                 "output_tps_hist", 0.5),
    WindowMetric("cost_usd_per_minute", "USD/min", "log", ("cost_pico_usd",), (), ("requests",),
                 _PICO, 0.05),
    WindowMetric("unit_price", "USD per 1,000 tokens", "log",
                 ("cost_input_pico_usd", "cost_output_pico_usd"), (), ("requests", "-unpriced"),
                 1_000 * _PICO, 1e-6),
    WindowMetric("tokens_per_request", "tokens", "log", ("input_tokens", "output_tokens"),
                 _ANSWERED, _ANSWERED, 1.0, 1.0),
    WindowMetric("quality_score", "score", "linear", ("evaluation_score_micro_sum",),
                 ("evaluations_scored",), ("evaluations_scored",), _MICRO),
    WindowMetric("feedback_score", "score", "linear", ("feedback_score_micro_sum",),
                 ("feedback_scored",), ("feedback_scored",), _MICRO),
    WindowMetric("error_ratio", "of requests", "arcsine", ("errors", "-errors_rate_limit"),
                 ("requests",), ("requests",)),
    WindowMetric("rate_limit_ratio", "of requests", "arcsine", ("errors_rate_limit",),
                 ("requests",), ("requests",)),
    WindowMetric("refused_ratio", "of requests", "arcsine", ("refused", "filtered"),
                 ("requests",), ("requests",)),
    WindowMetric("truncated_ratio", "of requests", "arcsine", ("truncated",),
                 ("requests",), ("requests",)),
    WindowMetric("cache_hit_ratio", "of input tokens", "arcsine", ("cache_read_tokens",),
                 ("input_tokens",), _ANSWERED),
    WindowMetric("requests", "requests/min", "log", ("requests",), (), ("requests",), 1.0, 10.0),
)  # fmt: skip
"""Levels first (those whose alarms a gate confirms before the others), then ratios, then requests:
the state is laid out in this order."""

GATED: Final = slice(0, 4)
LEVELS: Final = slice(0, 8)
RATIOS: Final = slice(8, 13)
REQUESTS: Final = 13
COST: Final = 3
_PLACES: Final = {metric.name: place for place, metric in enumerate(METRICS)}
_FLOORS: Final = np.array([[metric.floor] for metric in METRICS])
_LINEAR: Final = [place for place, metric in enumerate(METRICS) if metric.scale == "linear"]
_ARCSINE: Final = RATIOS


def metric_at(name: str) -> int:
    """Return the place of a metric in METRICS."""
    return _PLACES[name]


def observe(
    sums: Mapping[str, Floats], quantiles: Mapping[str, Floats], window_s: int
) -> tuple[Floats, Floats]:
    """Compute every metric of every key of one window, or of several.

    Args:
        sums: Measures of the windows by name; arrays of one shape.
        quantiles: Metric -> quantile of its histogram, NaN where the histogram is empty.
        window_s: Length of the window.

    Returns:
        Values and n, one row a metric; a value is NaN where there is none.
    """
    shape = sums["requests"].shape
    values = np.full((len(METRICS), *shape), np.nan)
    counts = np.zeros((len(METRICS), *shape))
    for place, metric in enumerate(METRICS):
        counted = _total(metric.counted, sums)
        if metric.histogram:
            value = quantiles[metric.name]
        elif metric.name == "unit_price":
            value = _blended_price(sums) * metric.factor
        elif metric.per:
            value = _quotient(metric.of, metric.per, sums) * metric.factor
        else:
            value = _total(metric.of, sums) * (metric.factor * 60 / window_s)
        is_there = (counted > 0) & ~np.isnan(value)
        values[place] = np.where(is_there, value, np.nan)
        counts[place] = np.where(is_there, counted, 0.0)
    return values, counts


def _blended_price(sums: Mapping[str, Floats]) -> Floats:
    """Return the price of a token at the fixed blend; of input alone where nothing is put out."""
    inputs = _quotient(("cost_input_pico_usd",), _UNCACHED, sums)
    outputs = _quotient(("cost_output_pico_usd",), ("output_tokens",), sums)
    blended = _BLEND * inputs + (1 - _BLEND) * outputs
    price = np.where(sums["output_tokens"] > 0, blended, inputs)
    return np.where(price > 0, price, np.nan)  # else nothing of it is priced


def _quotient(of: tuple[str, ...], per: tuple[str, ...], sums: Mapping[str, Floats]) -> Floats:
    """Return one total over another, NaN where that is not positive."""
    below = _total(per, sums)
    return np.where(below > 0, _total(of, sums) / np.where(below > 0, below, 1.0), np.nan)


def _total(terms: tuple[str, ...], sums: Mapping[str, Floats]) -> Floats:
    total = np.zeros_like(sums["requests"])
    for term in terms:
        name = term.removeprefix("-")
        total = total - sums[name] if term.startswith("-") else total + sums[name]
    return total


def to_scale(values: Floats) -> Floats:
    """Return values, one row a metric, as they are compared."""
    scaled: Floats = np.log(np.maximum(values, 0.0) + np.maximum(_FLOORS, 1e-300))
    scaled[_LINEAR] = values[_LINEAR]
    scaled[_ARCSINE] = 2 * np.arcsin(np.sqrt(np.clip(values[_ARCSINE], 0.0, 1.0)))
    return scaled


def to_value(place: int, scaled: float) -> float:
    """Return the value of a metric that stands at `scaled` on its scale."""
    metric = METRICS[place]
    if metric.scale == "linear":
        return scaled
    if metric.scale == "arcsine":
        return float(np.sin(min(max(scaled, 0.0), np.pi) / 2) ** 2)
    return max(float(np.exp(scaled)) - metric.floor, 0.0)
