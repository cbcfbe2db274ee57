"""Metrics of windows: quotients of sums, absent where there is nothing to divide."""

from __future__ import annotations

import numpy as np
import pytest

from tests.each import each
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import (
    GATED,
    LEVELS,
    METRICS,
    RATIOS,
    REQUESTS,
    metric_at,
    observe,
    to_scale,
    to_value,
)
from tokentide_jobs.core.window.fold import DELTA_SCHEMA, HISTOGRAMS

SUMS = {
    "requests": 10, "errors": 3, "errors_rate_limit": 1, "refused": 1, "filtered": 1,
    "truncated": 2, "usage_missing": 2, "unpriced": 2, "input_tokens": 8_000,
    "output_tokens": 1_600, "cache_read_tokens": 2_000, "cache_write_tokens": 1_000,
    "cost_pico_usd": 5 * 10**10, "cost_input_pico_usd": 10**10, "cost_output_pico_usd": 2 * 10**10,
    "ttft_count": 4, "evaluations_scored": 2, "evaluation_score_micro_sum": 1_500_000,
    "feedback_scored": 0, "feedback_score_micro_sum": 0,
}  # fmt: skip
QUANTILES = {"latency_p95_ms": 900.0, "ttft_p50_ms": 200.0, "output_tps_p50": 50.0}


def observed(**changed: float) -> tuple[dict[str, float], dict[str, float]]:
    sums = {name: np.array([float(value)]) for name, value in {**SUMS, **changed}.items()}
    quantiles = {name: np.array([value]) for name, value in QUANTILES.items()}
    values, counts = observe(sums, quantiles, 60)
    names = [metric.name for metric in METRICS]
    return dict(zip(names, values[:, 0], strict=True)), dict(zip(names, counts[:, 0], strict=True))


@each(
    ("metric", "value", "n"),
    [
        ("error_ratio", 0.2, 10), ("rate_limit_ratio", 0.1, 10), ("refused_ratio", 0.2, 10),
        ("truncated_ratio", 0.2, 10), ("cache_hit_ratio", 0.25, 8), ("requests", 10, 10),
        ("tokens_per_request", 1_200, 8), ("quality_score", 0.75, 2),
        ("cost_usd_per_minute", 0.05, 10),
        ("unit_price", (3 * 0.002 + 0.0125) / 4, 8),
        ("latency_p95_ms", 900, 10), ("ttft_p50_ms", 200, 4),
    ],
)  # fmt: skip
def test_a_metric_is_the_quotient_of_its_sums(metric: str, value: float, n: float) -> None:
    values, counts = observed()
    assert values[metric] == pytest.approx(value)
    assert counts[metric] == n


def test_the_unit_price_does_not_move_with_the_mix_of_tokens() -> None:
    for inputs, outputs, cached in ((8_000, 100, 0), (8_000, 1_600, 7_000), (500, 9_000, 100)):
        values, _counts = observed(
            input_tokens=inputs,
            output_tokens=outputs,
            cache_read_tokens=cached,
            cache_write_tokens=0,
            cost_input_pico_usd=2_000_000 * (inputs - cached),
            cost_output_pico_usd=10_000_000 * outputs,
        )
        assert values["unit_price"] == pytest.approx((3 * 0.002 + 0.01) / 4)


def test_the_unit_price_of_embeddings_is_that_of_their_input() -> None:
    values, _counts = observed(output_tokens=0, cost_output_pico_usd=0)
    assert values["unit_price"] == pytest.approx(0.002)


def test_what_cannot_be_computed_is_absent_and_not_zero() -> None:
    values, counts = observed()
    assert np.isnan(values["feedback_score"])
    assert counts["feedback_score"] == 0
    values, _counts = observed(cost_input_pico_usd=0, cost_output_pico_usd=0)
    assert np.isnan(values["unit_price"])


def test_an_hour_is_reported_per_minute() -> None:
    sums = {name: np.array([60.0 * value]) for name, value in SUMS.items()}
    quantiles = {name: np.array([value]) for name, value in QUANTILES.items()}
    values, _counts = observe(sums, quantiles, 3_600)
    assert values[REQUESTS, 0] == pytest.approx(10)
    assert values[metric_at("cost_usd_per_minute"), 0] == pytest.approx(0.05)


def test_every_sum_and_histogram_is_a_column_of_the_window_deltas() -> None:
    terms = {
        term.removeprefix("-")
        for metric in METRICS
        for term in (*metric.of, *metric.per, *metric.counted)
    }
    assert terms <= set(DELTA_SCHEMA)
    assert {metric.histogram for metric in METRICS if metric.histogram} <= set(HISTOGRAMS)


def test_a_value_comes_back_from_its_scale() -> None:
    values = np.array([[0.3 if metric.scale == "arcsine" else 42.0] for metric in METRICS])
    for place, scaled in enumerate(to_scale(values)[:, 0]):
        assert to_value(place, float(scaled)) == pytest.approx(values[place, 0])


def test_the_parameters_cover_the_metrics_in_the_order_of_the_state() -> None:
    parameters = Parameters()
    names = [metric.name for metric in METRICS]
    assert names[LEVELS] == list(parameters.levels)
    assert names[RATIOS] == list(parameters.ratios)
    assert names[REQUESTS] == "requests"
    gated = [name for name, level in parameters.levels.items() if level.gate_effect]
    assert gated == names[GATED]
    assert parameters.ratios["cache_hit_ratio"].direction == "drop"
