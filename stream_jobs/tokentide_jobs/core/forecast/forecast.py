"""The forecast of one period's end, with its interval or with the reason why there is none.

A forecast is an estimate and never money: it is computed in floats and rounded to whole pico-USD.
What was spent already is exact and stands outside of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from tokentide_jobs.core.forecast.backtest import back_test, chosen_method, conformal_quantile
from tokentide_jobs.core.forecast.methods import WEEK_HOURS, Hours, Method, predict
from tokentide_jobs.counted import counted

__all__ = ["COVERAGE", "Forecast", "even_rate", "forecast"]

ForecastMethod = Method | Literal["even rate", ""]

COVERAGE: Final = 0.8
"""Of the interval: four of five periods end inside of it."""
_LEAST_BACK_TESTS: Final = 4
_LEAST_ELAPSED_SHARE: Final = 0.05
"""Of a period, before its own pace shows anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a period will have cost at its end.

    Attributes:
        pico_usd: The expected total; None: refused.
        low_pico_usd: Lower end of the interval; None: there is no interval.
        high_pico_usd: Its upper end.
        method: How it was computed; "": refused.
        rests_on: What it rests on, or why it is refused, in words.
    """

    pico_usd: int | None = None
    low_pico_usd: int | None = None
    high_pico_usd: int | None = None
    method: ForecastMethod = ""
    rests_on: str


def even_rate(spent: int, elapsed_us: int, length_us: int) -> Forecast:
    """Forecast a short period by its own pace, without an interval.

    Args:
        spent: In the period so far.
        elapsed_us: Of the period.
        length_us: Of the period.
    """
    if elapsed_us < _LEAST_ELAPSED_SHARE * length_us:
        return Forecast(rests_on="the period has only begun")
    return Forecast(
        pico_usd=spent * length_us // elapsed_us,
        method="even rate",
        rests_on="the pace of this period so far; no interval",
    )


def forecast(spent: int, history: Hours, hours_left: float, elapsed: int) -> Forecast:
    """Forecast the end of a period of days.

    Args:
        spent: Pico-USD in the period so far.
        history: Pico-USD by hour up to the last full hour, from the first hour with spend on.
        hours_left: Until the period ends.
        elapsed: Full hours since the period began, at least one.
    """
    if len(history) < WEEK_HOURS:
        return Forecast(rests_on=f"{_span(len(history))} of history, a week is needed")
    hours = max(1, int(np.ceil(hours_left)))
    test = back_test(history, hours, elapsed)
    if len(test) < _LEAST_BACK_TESTS:
        return Forecast(rests_on=f"{counted(len(test), 'back-test')}, too little spend to judge by")
    method = chosen_method(test)
    coming = predict(method, history, hours, elapsed)
    to_come = float(coming.sum() - coming[0] * (hours - hours_left))
    error = conformal_quantile(test.errors[method], COVERAGE, test.independent)
    margin = error * float(history[-WEEK_HOURS:].mean()) * hours_left
    reach = ""
    if test.longest_hours < hours:
        reach = f", none longer than {_span(test.longest_hours)} of the {_span(hours)} left"
    return Forecast(
        pico_usd=spent + round(to_come),
        low_pico_usd=spent + round(max(0.0, to_come - margin)),
        high_pico_usd=spent + round(to_come + margin),
        method=method,
        rests_on=f"{counted(len(test), 'back-test')} in {_span(len(history))} of history{reach}",
    )


def _span(hours: int) -> str:
    if hours < 48:
        return counted(hours, "hour")
    return f"{hours * 10 // 24 / 10} days"
