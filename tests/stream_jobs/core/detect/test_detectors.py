"""All detectors together: causal, restartable, and silent about what they cannot know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.sampling import examples
from tests.stream_jobs.core.detect.observed_windows import (
    MINUTE_US,
    MONDAY_US,
    QUICK,
    READY,
    Change,
    ready,
    times,
    windows,
)
from tokentide_jobs.core.detect.alarms import AlarmChange, WindowReport, reason
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import METRICS, metric_at
from tokentide_jobs.core.detect.window_view import ClosedWindow

FAULT = READY + 5
"""The minute in which faults begin."""


def judged(detectors: Detectors, given: Iterable[ClosedWindow]) -> list[WindowReport]:
    return [detectors.judge(window) for window in given]


def alarms(change: Change, until: int) -> list[AlarmChange]:
    results = judged(ready(), windows(until - READY, first=READY, change=change))
    return [alarm for result in results for alarm in result.alarms]


def minute(alarm: AlarmChange) -> int:
    return (alarm.window_start_us - MONDAY_US) // MINUTE_US


@pytest.mark.parametrize(
    ("metric", "factor", "test", "within"),
    [
        ("latency_p95_ms", 2, "up", 6), ("ttft_p50_ms", 1.6, "up", 6),
        ("output_tps_p50", 0.5, "down", 6), ("cost_usd_per_minute", 4, "up", 6),
        ("unit_price", 1.3, "up", 6), ("unit_price", 0.7, "down", 6),
        ("tokens_per_request", 1.5, "up", 6), ("quality_score", 0.85, "down", 8),
        ("feedback_score", 0.7, "down", 8), ("error_ratio", 30, "rise", 4),
        ("error_ratio", 150, "severe", 4), ("rate_limit_ratio", 60, "rise", 4),
        ("refused_ratio", 30, "rise", 4), ("truncated_ratio", 20, "rise", 4),
        ("cache_hit_ratio", 0.2, "drop", 6), ("requests", 0.02, "drop", 4),
        ("requests", 8, "rise", 4),
    ],
)  # fmt: skip
def test_every_metric_raises_its_alarm_soon_and_for_its_key_alone(
    metric: str, factor: float, test: str, within: int
) -> None:
    found = alarms(times(metric, factor, FAULT), FAULT + 12)
    opened = [alarm for alarm in found if alarm.change == "opened"]
    assert {(alarm.key, alarm.metric) for alarm in opened} == {("a", metric)}
    assert min(minute(a) for a in opened if a.test == test) < FAULT + within


@pytest.mark.parametrize(
    ("metric", "factor"),
    [
        ("latency_p95_ms", 0.4), ("tokens_per_request", 0.5), ("error_ratio", 0.0),
        ("quality_score", 1.1), ("cache_hit_ratio", 1.4), ("unit_price", 1.05),
        ("latency_p95_ms", 1.2), ("requests", 1.6), ("requests", 0.6),
    ],
)  # fmt: skip
def test_what_is_better_or_small_raises_nothing(metric: str, factor: float) -> None:
    assert alarms(times(metric, factor, FAULT), FAULT + 40) == []


def test_an_alarm_says_what_it_knows_and_why() -> None:
    (opened, *_rest) = alarms(times("unit_price", 2, FAULT), FAULT + 10)
    assert opened.expected == pytest.approx(0.003, rel=0.05)
    assert opened.value == pytest.approx(0.006, rel=0.1)
    assert opened.lower < opened.expected < opened.upper < opened.value
    assert opened.evidence > opened.threshold == 9
    assert (opened.onset_us - MONDAY_US) // MINUTE_US in (FAULT - 1, FAULT)
    assert not opened.is_young
    assert reason(opened).startswith("unit_price of a is 0.00")
    assert f"{opened.value / opened.expected:.2f} times the expected" in reason(opened)
    assert "since 02:45; evidence" in reason(opened)


def test_an_incident_closes_and_is_not_learned() -> None:
    def change(at: int, values: dict[str, NDArray[np.float64]], _n: NDArray[np.float64]) -> None:
        if FAULT <= at < FAULT + 20 or FAULT + 100 <= at < FAULT + 120:
            values["error_ratio"][0] = 0.15

    found = [alarm for alarm in alarms(change, FAULT + 150) if alarm.test == "rise"]
    assert [alarm.change for alarm in found] == ["opened", "closed", "opened", "closed"]
    assert minute(found[2]) < FAULT + 104
    assert reason(found[1]).startswith("error_ratio of a is back to usual: the alarm of 02:4")


@pytest.mark.parametrize("metric", ["cost_usd_per_minute", "tokens_per_request", "requests"])
def test_an_open_alarm_teaches_a_tenth(metric: str) -> None:
    detectors, change = ready(), times(metric, 8, FAULT)
    season = detectors.state.array("season")[:, metric_at(metric), 0]

    def moved(first: int) -> float:
        before = float(season[2])
        judged(detectors, windows(2, first=first, change=change))
        return abs(float(season[2]) - before)

    judged(detectors, windows(FAULT - READY, first=READY, change=change))
    unnoticed = moved(FAULT)
    judged(detectors, windows(4, first=FAULT + 2, change=change))
    assert detectors.state.array("is_open")[:, metric_at(metric), 0].any()
    assert 0 < moved(FAULT + 6) < unnoticed / 5


def test_a_level_that_stays_is_adopted_and_then_expected() -> None:
    found = alarms(times("tokens_per_request", 2, FAULT), FAULT + 250)
    assert [alarm.change for alarm in found] == ["opened", "adopted"]
    assert minute(found[1]) - minute(found[0]) == 90
    assert "new normal" in reason(found[1])


def test_nothing_is_said_before_a_metric_is_old_enough_and_then_it_is_called_young() -> None:
    results = judged(Detectors(QUICK), windows(125, change=times("error_ratio", 100, 60)))
    found = [alarm for result in results for alarm in result.alarms]
    assert {minute(alarm) for alarm in found} == {120}
    assert all(alarm.is_young for alarm in found)


def test_an_empty_window_is_an_observed_zero_only_if_the_data_is_complete() -> None:
    def silence(at: int, values: dict[str, NDArray[np.float64]], n: NDArray[np.float64]) -> None:
        if at >= FAULT:
            n[0] = 0
            for value in values.values():
                value[0] = np.nan

    def found(is_complete: bool) -> list[AlarmChange]:
        given = windows(
            40, first=READY, change=silence, complete=lambda at: is_complete or at < FAULT
        )
        return [alarm for result in judged(ready(), given) for alarm in result.alarms]

    assert [(alarm.metric, alarm.test) for alarm in found(True)] == [("requests", "drop")]
    assert found(False) == []


def test_keys_that_are_not_named_count_as_empty() -> None:
    alone = [
        ClosedWindow(w.start_us, ["b"], w.values[:, 1:], w.counts[:, 1:], True)
        for w in windows(6, first=READY)
    ]
    found = [alarm for result in judged(ready(), alone) for alarm in result.alarms]
    assert [(alarm.key, alarm.test) for alarm in found] == [("a", "drop")]


def test_windows_that_were_seen_are_ignored() -> None:
    detectors = ready()
    before = detectors.state.to_bytes()
    assert judged(detectors, windows(20, first=READY - 20)) == [WindowReport((), ())] * 20
    assert detectors.state.to_bytes() == before


def test_a_gap_teaches_nothing_and_raises_nothing() -> None:
    detectors = ready()
    learned = detectors.state.array("updates").copy()
    results = judged(detectors, windows(30, first=READY + 120))
    assert [alarm for result in results for alarm in result.alarms] == []
    assert (detectors.state.array("updates") - learned == 30).all()


def shaken(at: int, values: dict[str, NDArray[np.float64]], n: NDArray[np.float64]) -> None:
    """Make every part of the state move: noise, faults, silence and few observations."""
    random = np.random.default_rng(at)
    n *= random.choice([0.01, 0.1, 1.0])
    for value in values.values():
        if random.uniform() < 0.1:
            value[0] = np.nan
    if at % 90 > 75:
        values["error_ratio"][0], values["latency_p95_ms"][0] = 0.3, 9_000


def shaken_windows(count: int, seed: int) -> list[ClosedWindow]:
    return list(windows(count, seed=seed, change=shaken, complete=lambda at: at % 17 != 0))


@settings(max_examples=examples(2), deadline=None)
@given(st.integers(1, 199), st.integers(0, 3))
def test_a_restart_from_bytes_changes_nothing_that_follows(cut: int, seed: int) -> None:
    given = shaken_windows(200, seed)
    through = Detectors(QUICK)
    expected = judged(through, given)
    before = Detectors(QUICK)
    first = judged(before, given[:cut])
    after = Detectors(QUICK, DetectorState.from_bytes(before.state.to_bytes()))
    # A replay begins somewhat before the snapshot.
    repeated = judged(after, given[max(cut - 20, 0) : cut])
    assert repeated == [WindowReport((), ())] * len(repeated)
    # NaN is not equal to itself; its text is.
    assert repr(first + judged(after, given[cut:])) == repr(expected)
    assert after.state.to_bytes() == through.state.to_bytes()
    assert sum(len(result.alarms) + len(result.extremes) for result in expected) > 3


@settings(max_examples=examples(2), deadline=None)
@given(st.integers(125, 199))
def test_what_is_said_of_a_window_does_not_depend_on_later_ones(cut: int) -> None:
    given = shaken_windows(200, 1)
    later = [ClosedWindow(w.start_us, w.keys, w.values * 0.5, w.counts, True) for w in given[cut:]]
    expected = judged(Detectors(QUICK), given)[:cut]
    assert repr(judged(Detectors(QUICK), [*given[:cut], *later])[:cut]) == repr(expected)


def test_a_ratio_beyond_one_counts_as_one() -> None:
    found = alarms(times("cache_hit_ratio", 50, FAULT), FAULT + 10)
    assert found == []
    assert alarms(times("error_ratio", 1e6, FAULT), FAULT + 10)[0].value == 1


def test_keys_do_not_touch_each_other() -> None:
    both = shaken_windows(160, 2)
    alone = [
        ClosedWindow(w.start_us, ["b"], w.values[:, 1:], w.counts[:, 1:], w.is_complete)
        for w in both
    ]
    together = Detectors(QUICK)
    judged(together, both)
    single = Detectors(QUICK)
    judged(single, alone)
    for name in ("season", "low", "evidence", "sigmas", "gate_high", "total"):
        assert (
            together.state.array(name)[:, :, 1].tobytes()
            == single.state.array(name)[:, :, 0].tobytes()
        )


def test_a_key_without_an_event_for_three_weeks_is_forgotten() -> None:
    detectors = Detectors(QUICK)
    judged(detectors, windows(3))
    nothing = np.zeros((len(METRICS), 0))
    for days, expected in ((20, ["a", "b"]), (22, [])):
        start_us = MONDAY_US + days * 1_440 * MINUTE_US
        detectors.judge(ClosedWindow(start_us, [], nothing, nothing, True))
        assert detectors.state.keys == expected


def test_a_new_extreme_is_recorded_once_and_never_alarms_by_itself() -> None:
    change = times("latency_p95_ms", 1.2, FAULT, FAULT + 1)
    found = judged(ready(), windows(10, first=READY, change=change))
    all_extremes = [extreme for result in found for extreme in result.extremes]
    assert [(one.key, one.metric) for one in all_extremes if one.metric == "latency_p95_ms"] == [
        ("a", "latency_p95_ms")
    ]
    assert [alarm for result in found for alarm in result.alarms] == []


def test_no_more_keys_are_held_than_may_be_and_the_busiest_come_first() -> None:
    """One-off features come with every window, in which some that are known are silent."""
    detectors = Detectors(replace(QUICK, most_keys=4))
    for number, names in enumerate((["a", "b", "c"], ["a", "x1", "x2", "x3"], ["b", "x1", "y"])):
        values = np.full((len(METRICS), len(names)), np.nan)
        values[metric_at("requests")] = [1.0, 2.0, 5.0, 3.0][: len(names)]
        start_us = MONDAY_US + number * MINUTE_US
        detectors.judge(ClosedWindow(start_us, names, values, np.zeros_like(values), True))
        assert detectors.refused_keys == (0, 2, 2)[number]
    assert detectors.state.keys == ["a", "b", "c", "x2"]
    assert detectors.view is not None
    assert detectors.view.values[metric_at("requests")].tolist() == [0, 1, 0, 0]
