"""An alarm names the narrower keys that make it up, with their shares of the difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tests.stream_jobs.core.alert.test_sources import alarm
from tokentide_jobs.core.decide.contributors import Contributors, providers_of_models
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import METRICS, REQUESTS, metric_at
from tokentide_jobs.core.detect.window_view import ClosedWindow
from tokentide_jobs.core.merge.open_windows import WindowFigures

MINUTE_US = 60_000_000
NOON_US = 1_790_000_040_000_000 // MINUTE_US * MINUTE_US
WINDOWS = 30
Rows = Mapping[str, tuple[float, float]]
"""By key: value and n."""
BEFORE: Rows = {
    "provider=openai": (0.02, 300),
    "provider=openai, model=gpt-5": (0.02, 200),
    "provider=openai, model=gpt-5-mini": (0.02, 100),
    "provider=anthropic, model=opus": (0.02, 100),
    "tenant=acme, model=gpt-5": (0.02, 150),
    "tenant=globex, model=gpt-5": (0.02, 50),
    "tenant=acme, model=opus": (0.02, 100),
}


def window(number: int, metric: str, rows: Rows) -> ClosedWindow:
    values = np.full((len(METRICS), len(rows)), np.nan)
    counts = np.zeros_like(values)
    for place, (value, n) in enumerate(rows.values()):
        values[REQUESTS, place], counts[REQUESTS, place] = n, n
        values[metric_at(metric), place], counts[metric_at(metric), place] = value, n
    return ClosedWindow(NOON_US + number * MINUTE_US, list(rows), values, counts, True)


def named(
    metric: str, after: Rows, key: str = "provider=openai", before: Rows = BEFORE
) -> tuple[str, ...]:
    """Return the contributors of an alarm in the window after many like the ones before."""
    detectors = Detectors(dataclasses.replace(Parameters(), silent_s=60, learning_s=120))
    for number in range(WINDOWS):
        detectors.judge(window(number, metric, before))
    last = window(WINDOWS, metric, after)
    detectors.judge(last)
    assert detectors.view is not None
    sums = WindowFigures(list(last.keys), last.values, last.counts, np.zeros(len(last.keys)))
    parts = Contributors(detectors.state, detectors.view, providers_of_models(sums))
    rises = after[key][0] > before[key][0]
    found = alarm(
        key=key, metric=metric, value=float(rises), expected=0.5, onset_us=last.start_us,
    )  # fmt: skip
    return parts.of(found, MINUTE_US)


def test_of_a_ratio_the_keys_whose_requests_failed_are_named() -> None:
    after = {
        **BEFORE,
        "provider=openai": (0.282, 300),
        "provider=openai, model=gpt-5": (0.4, 200),
        "provider=openai, model=gpt-5-mini": (0.046, 100),
        "tenant=acme, model=gpt-5": (0.5, 150),
        "tenant=globex, model=gpt-5": (0.1, 50),
    }
    assert named("error_ratio", after) == (
        "model gpt-5 (97 %)",
        "tenant acme, model gpt-5 (92 %)",
    )
    assert named("error_ratio", after, "provider=openai, model=gpt-5") == ("tenant acme (95 %)",)


def test_of_a_level_each_key_weighs_as_much_as_its_calls() -> None:
    before = {key: (500.0, n) for key, (_value, n) in BEFORE.items()}
    after = {
        **before,
        "provider=openai": (900.0, 300),
        "provider=openai, model=gpt-5": (600.0, 200),
        "provider=openai, model=gpt-5-mini": (700.0, 100),
    }
    assert named("latency_p95_ms", after, before=before) == (
        "model gpt-5 (50 %)",
        "model gpt-5-mini (50 %)",
    )


def test_of_requests_keys_that_fell_silent_make_up_the_fall() -> None:
    after = {
        "provider=openai": (0.02, 102),
        "provider=openai, model=gpt-5-mini": (0.02, 100),
        "provider=openai, model=gpt-5": (0.02, 2),
    }
    fell = {key: (n, n) for key, (_value, n) in after.items()}
    before = {key: (n, n) for key, (_value, n) in BEFORE.items()}
    assert named("requests", fell, before=before)[0] == "model gpt-5 (100 %)"


def test_a_key_that_is_there_only_since_it_began_was_expected_to_be_nothing() -> None:
    before = {key: (n, n) for key, (_value, n) in BEFORE.items() if "tenant" not in key}
    after = {
        **before,
        "provider=openai": (1_300.0, 1_300.0),
        "provider=openai, model=o9": (1_000.0, 1_000.0),
    }
    assert named("requests", after, before=before) == ("model o9 (100 %)",)


def test_who_has_no_narrower_key_names_none() -> None:
    key = "tenant=acme, model=opus"
    assert named("error_ratio", {**BEFORE, key: (0.9, 100)}, key) == ()


def test_many_small_shares_name_none() -> None:
    many = {f"tenant=t{n}, model=gpt-5": (0.02, 10.0) for n in range(20)}
    before = {key: one for key, one in BEFORE.items() if "tenant" not in key} | many
    after = {key: (0.4, n) for key, (_value, n) in before.items()}
    assert named("error_ratio", after, "provider=openai, model=gpt-5", before) == ()
