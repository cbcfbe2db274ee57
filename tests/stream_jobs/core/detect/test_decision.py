"""Alarms open on evidence, close after quiet windows, rest, and are adopted after a day."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from tokentide_jobs.core.detect.decision import decide
from tokentide_jobs.core.detect.parameter_columns import Columns
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import METRICS, metric_at

PARAMETERS = dataclasses.replace(Parameters(), cooldown_s=300, adopt_after_s=3_600)
PRICE = metric_at("unit_price")


def history(
    evidence: Sequence[float], allowed: Sequence[bool] | None = None
) -> list[tuple[int, str]]:
    """Return (window, change) of the unit price's test `up`, whose threshold is 9."""
    state = DetectorState()
    state.places_of(["a"])
    thresholds = Columns(PARAMETERS).thresholds
    shape = (len(METRICS), 1)
    seen = []
    for number, value in enumerate(evidence, 1_000):
        state.array("evidence")[0, PRICE, 0] = value
        may = np.zeros((2, *shape), np.bool_)
        may[0, PRICE] = allowed is None or allowed[number - 1_000]
        changes = decide(state, number, np.ones(shape, np.bool_), may, thresholds, PARAMETERS)
        for name in ("opened", "closed", "adopted"):
            if getattr(changes, name)[0, PRICE, 0]:
                seen.append((number - 1_000, name))
    assert state.array("onset_window")[0, PRICE, 0] == (
        0
        if evidence[-1] == 0
        else 1_000 + next(place for place in range(len(evidence)) if all(evidence[place:]))
    )
    return seen


def test_an_alarm_opens_above_the_threshold_and_not_at_it() -> None:
    assert history([9.0, 9.1]) == [(1, "opened")]


def test_evidence_alone_opens_nothing() -> None:
    assert history([20.0, 20.0, 20.0], [False, False, True]) == [(2, "opened")]


def test_ten_quiet_windows_in_a_row_close_an_alarm() -> None:
    quiet = [4.4] * 9
    assert history([10, *quiet, 4.5, *quiet]) == [(0, "opened")]
    assert history([10, *quiet, 4.5, *quiet, 4.4]) == [(0, "opened"), (20, "closed")]


def test_an_alarm_rests_after_it_closed() -> None:
    closed = [10.0, *[0.0] * 10]
    assert history([*closed, *[10.0] * 5])[2:] == []
    assert history([*closed, *[10.0] * 6])[2:] == [(16, "opened")]


def test_a_day_of_alarm_is_the_new_normal() -> None:
    assert history([10.0] * 61) == [(0, "opened"), (60, "adopted")]


@pytest.mark.parametrize(
    ("metric", "thresholds"),
    [
        ("unit_price", (9, 9)), ("latency_p95_ms", (9, np.inf)), ("quality_score", (np.inf, 9)),
        ("error_ratio", (18, 10)), ("cache_hit_ratio", (np.inf, 18)), ("requests", (18, 18)),
    ],
)  # fmt: skip
def test_a_metric_has_tests_in_the_directions_that_are_bad(
    metric: str, thresholds: tuple[float, float]
) -> None:
    assert tuple(Columns(PARAMETERS).thresholds[:, metric_at(metric), 0]) == thresholds
