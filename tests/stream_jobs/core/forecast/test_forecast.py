"""A forecast says what it rests on, picks the method that fits, and covers as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from bench.forecast import measure
from tokentide_jobs.core.forecast.backtest import back_test, chosen_method, conformal_quantile
from tokentide_jobs.core.forecast.forecast import even_rate, forecast
from tokentide_jobs.core.forecast.methods import WEEK_HOURS, Hours, predict
from tokentide_jobs.core.tables import HOUR_US

USD = 1e12
WEEKDAYS = np.tile(np.repeat([1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1], 24), 4) * USD
"""Four weeks whose weekends are quiet; hour 0 is a Monday's."""


def noisy(hours: int, seed: int) -> Hours:
    return np.random.default_rng(seed).gamma(4.0, 0.25, hours) * USD


def test_a_constant_spend_ends_where_every_method_says() -> None:
    found = forecast(10 * 24 * 10**12, np.full(240, USD), 20 * 24.0, 240)
    assert found.pico_usd == found.low_pico_usd == found.high_pico_usd == 30 * 24 * 10**12
    assert found.method == "last 7 days"


def test_quiet_weekends_are_expected_to_be_quiet_again() -> None:
    # Thursday's end; three days to go, of which two are the weekend: 24 + 2.4 + 2.4 hours' worth.
    history = WEEKDAYS[: 3 * WEEK_HOURS + 96]
    found = forecast(0, history, 72.0, 96)
    assert found.method == "weekday-seasonal"
    assert found.pico_usd == pytest.approx(28.8 * USD)
    level = forecast(0, WEEKDAYS[:-1] * 0 + USD, 72.0, 96)
    assert level.pico_usd == pytest.approx(72 * USD)


def test_a_part_of_the_present_hour_is_over() -> None:
    whole = forecast(0, np.full(240, USD), 24.0, 24)
    half = forecast(0, np.full(240, USD), 23.5, 24)
    assert whole.pico_usd == 24 * 10**12
    assert half.pico_usd == 23.5 * 10**12


def test_less_than_a_week_is_refused_with_the_reason() -> None:
    found = forecast(5, np.full(WEEK_HOURS - 1, USD), 72.0, 96)
    assert (found.pico_usd, found.low_pico_usd, found.method) == (None, None, "")
    assert "6.9 days of history, a week is needed" in found.rests_on
    assert forecast(5, np.full(WEEK_HOURS, USD), 72.0, 96).pico_usd is not None


def test_hardly_any_spend_is_refused() -> None:
    history = np.zeros(240)
    history[-20] = USD
    assert "too little spend" in forecast(5, history, 72.0, 96).rests_on


def test_a_horizon_beyond_every_back_test_is_named() -> None:
    assert "none longer than 5.0 days of the 20.0 days left" in forecast(
        0, np.full(192, USD), 480.0, 24
    ).rests_on  # fmt: skip


def test_a_short_period_is_a_line_and_says_so() -> None:
    found = even_rate(30, 6 * HOUR_US, 24 * HOUR_US)
    assert (found.pico_usd, found.low_pico_usd, found.method) == (120, None, "even rate")
    assert even_rate(30, HOUR_US, 24 * HOUR_US).pico_usd is None


def test_predictions_use_nothing_that_comes_later() -> None:
    history = noisy(500, 1)
    later = np.concatenate([history[:400], history[400:] * 100])
    test, other = back_test(history[:400], 72, 100), back_test(later[:400], 72, 100)
    assert all(np.array_equal(test.errors[name], other.errors[name]) for name in test.errors)
    assert np.array_equal(
        predict("weekday-seasonal", history[:400], 9, 5),
        predict("weekday-seasonal", later[:400], 9, 5),
    )


def test_a_back_test_knows_nothing_of_what_it_predicts() -> None:
    history = np.full(240, USD)
    history[-12:] *= 10
    newest = {name: found[0] for name, found in back_test(history, 72, 100).errors.items()}
    assert newest == pytest.approx(dict.fromkeys(newest, 9.0))


def test_noise_does_not_replace_the_first_method() -> None:
    chosen = [chosen_method(back_test(noisy(400, seed), 72, 232)) for seed in range(40)]
    assert chosen.count("last 7 days") >= 36


def test_few_independent_errors_need_a_larger_quantile() -> None:
    errors = np.arange(1.0, 21.0)
    assert conformal_quantile(errors, 0.8, 20) == 17
    assert conformal_quantile(errors, 0.8, 8) == 18
    assert conformal_quantile(errors, 0.8, 2) == 20
    assert conformal_quantile(-errors, 0.8, 20) == 17


def test_the_interval_covers_four_of_five_ends_of_noise() -> None:
    covered = 0
    for seed in range(200):
        spend = noisy(21 * 24, seed)
        now = 15 * 24
        found = forecast(0, spend[:now], 6 * 24.0, 24)
        assert found.low_pico_usd is not None
        assert found.high_pico_usd is not None
        covered += found.low_pico_usd <= spend[now:].sum() <= found.high_pico_usd
    assert 0.7 <= covered / 200 <= 0.95


def test_the_interval_covers_recorded_clients_as_often_as_promised() -> None:
    for period in measure().values():
        assert isinstance(period, dict)
        for figures in period.values():
            assert figures["pairs"] >= 200
            assert 0.7 <= figures["coverage of the 80 % interval"] <= 0.9
            assert figures["error"]["mean"] <= figures["error of a straight line"]["mean"]
