"""Drawn sums and quantiles are those of so many drawn requests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from tokentide_jobs.core.simulate.conditions import Conditions, days_of
from tokentide_jobs.core.simulate.draws import draw
from tokentide_jobs.core.simulate.population import KeyGroup, Population, populate

Floats = NDArray[np.float64]


def steady(requests: float) -> tuple[Population, Conditions]:
    """Return one key whose conditions never change."""
    random = np.random.default_rng(1)
    population = populate((KeyGroup("key", "mid", 1),), random)
    conditions = next(days_of(population, 1, random))
    for field in dataclasses.fields(Conditions):
        if field.name != "day":
            getattr(conditions, field.name)[:] = 0.0
    conditions.requests[:] = requests
    conditions.input_tokens[:] = 1_000
    conditions.output_tokens[:] = 200
    conditions.latency_ms[:] = 2_000
    conditions.ttft_ms[:] = 300
    conditions.output_tps[:] = 50
    conditions.price[:] = 1
    conditions.quality[:] = 0.8
    conditions.feedback[:] = 0.9
    return population, conditions


def drawn(requests: float) -> tuple[Population, dict[str, Floats], dict[str, Floats]]:
    population, conditions = steady(requests)
    return population, *draw(population, conditions, np.random.default_rng(2))


@pytest.mark.parametrize("requests", [2.0, 40.0])
def test_sums_of_tokens_have_the_moments_of_single_requests(requests: float) -> None:
    population, sums, _quantiles = drawn(requests)
    n, tokens = sums["requests"], sums["input_tokens"]
    spread = np.sqrt(np.expm1(population.token_sigma[0] ** 2))
    assert tokens.sum() / n.sum() == pytest.approx(1_000, rel=4 * spread / np.sqrt(n.sum()))
    errors = (tokens - 1_000 * n)[n > 0] / np.sqrt(n[n > 0])
    assert errors.std() == pytest.approx(1_000 * spread, rel=0.25)
    assert not tokens[n == 0].any()


def test_a_quantile_is_distributed_as_that_of_drawn_latencies() -> None:
    population, _sums, quantiles = drawn(30.0)
    shape = population.latency_shape[0]
    random = np.random.default_rng(3)
    single = [
        np.quantile(
            2_000 * np.exp(shape * random.logistic(size=max(random.poisson(30), 1))), 0.95,
            method="inverted_cdf",
        )
        for _ in range(1_440)
    ]  # fmt: skip
    for q in (0.1, 0.5, 0.9):
        assert np.quantile(quantiles["latency_p95_ms"], q) == pytest.approx(
            np.quantile(single, q), rel=0.06
        )


def test_a_minute_without_requests_has_no_quantile_and_no_score() -> None:
    _population, sums, quantiles = drawn(0.2)
    is_empty = sums["requests"] == 0
    assert is_empty.any()
    assert np.isnan(quantiles["latency_p95_ms"][is_empty]).all()
    assert not np.isnan(quantiles["latency_p95_ms"][~is_empty]).any()
    assert not sums["evaluation_score_micro_sum"][is_empty].any()


def test_money_is_tokens_times_their_prices() -> None:
    population, conditions = steady(40.0)
    one_model = dataclasses.replace(population, second_share=np.zeros(1))
    sums, _quantiles = draw(one_model, conditions, np.random.default_rng(2))
    units = sums["input_tokens"] + population.output_price * sums["output_tokens"]
    assert np.allclose(sums["cost_pico_usd"], units * population.input_pico_usd)
    assert np.allclose(
        sums["cost_pico_usd"], sums["cost_input_pico_usd"] + sums["cost_output_pico_usd"]
    )


def test_parts_of_the_requests_stay_within_them() -> None:
    population, conditions = steady(40.0)
    for name in ("errors", "rate_limits", "refused", "truncated", "cached"):
        getattr(conditions, name)[:] = 0.5
    sums, _quantiles = draw(population, conditions, np.random.default_rng(2))
    assert (sums["errors"] <= sums["requests"]).all()
    assert (sums["errors_rate_limit"] <= sums["errors"]).all()
    assert (sums["cache_read_tokens"] <= sums["input_tokens"]).all()
    assert (sums["usage_missing"] == sums["errors"]).all()
