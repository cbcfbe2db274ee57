"""Windows for tests: plain traffic of a few keys, with whatever a test changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import METRICS, metric_at
from tokentide_jobs.core.detect.window_view import ClosedWindow

MONDAY_US = 1_767_571_200_000_000
"""2026-01-05, midnight."""
MINUTE_US = 60_000_000

QUICK = dataclasses.replace(
    Parameters(), silent_s=7_200, learning_s=9_000, least_values=30, adopt_after_s=5_400
)
"""Ready after two hours, grown after two and a half."""
READY = 160
"""The minute from which `ready` goes on."""

USUAL = {
    "latency_p95_ms": 2_000.0,
    "ttft_p50_ms": 400.0,
    "output_tps_p50": 60.0,
    "cost_usd_per_minute": 0.5,
    "unit_price": 0.003,
    "tokens_per_request": 1_500.0,
    "quality_score": 0.85,
    "feedback_score": 0.7,
    "error_ratio": 0.005,
    "rate_limit_ratio": 0.002,
    "refused_ratio": 0.004,
    "truncated_ratio": 0.02,
    "cache_hit_ratio": 0.6,
    "requests": 200.0,
}
Change = Callable[[int, dict[str, NDArray[np.float64]], NDArray[np.float64]], None]


def windows(
    count: int,
    keys: Sequence[str] = ("a", "b"),
    *,
    first: int = 0,
    seed: int = 1,
    n: float = 200.0,
    change: Change = lambda _minute, _values, _n: None,
    complete: Callable[[int], bool] = lambda _minute: True,
) -> Iterator[ClosedWindow]:
    """Yield windows of a minute; `change` may alter values (by metric) and n of each minute.

    The windows of a minute are the same wherever the first one lies.
    """
    for minute in range(first, first + count):
        random = np.random.default_rng((seed, minute))
        values = {
            name: value * np.exp(0.02 * random.standard_normal(len(keys)))
            for name, value in USUAL.items()
        }
        counts = np.full(len(keys), n)
        change(minute, values, counts)
        yield ClosedWindow(
            start_us=MONDAY_US + minute * MINUTE_US,
            keys=keys,
            values=np.array([values[metric.name] for metric in METRICS]),
            counts=np.tile(counts, (len(METRICS), 1)),
            is_complete=complete(minute),
        )


@cache
def _ready_state() -> bytes:
    detectors = Detectors(QUICK)
    for window in windows(READY):
        detectors.judge(window)
    return detectors.state.to_bytes()


def ready() -> Detectors:
    """Return detectors that have learned the plain windows before READY."""
    return Detectors(QUICK, DetectorState.from_bytes(_ready_state()))


def times(metric: str, factor: float, first: int, last: int = 1 << 30, key: int = 0) -> Change:
    """Return a change of one metric of one key from minute `first` until before `last`."""
    metric_at(metric)

    def change(
        minute: int, values: dict[str, NDArray[np.float64]], _n: NDArray[np.float64]
    ) -> None:
        if first <= minute < last:
            values[metric][key] *= factor

    return change
