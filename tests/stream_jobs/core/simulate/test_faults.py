"""Faults change the conditions of their keys, in their time, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tokentide_jobs.core.simulate.conditions import MINUTES, Conditions, days_of
from tokentide_jobs.core.simulate.faults import ConditionChange, GroupFault, KeyFault, inject, place
from tokentide_jobs.core.simulate.population import KeyGroup, populate

GROUPS = (KeyGroup("sick", "mid", 2), KeyGroup("well", "mid", 1))


def day() -> Conditions:
    random = np.random.default_rng(5)
    return next(days_of(populate(GROUPS, random), 1, random))


def incident(effect: ConditionChange, begin: int = 100, end: int = 160, ramp: int = 0) -> KeyFault:
    fault = GroupFault("sick", "t", (effect,), end - begin, 0, ramp_minutes=ramp)
    return KeyFault(fault, "sick-1", 0, begin, end)


@pytest.mark.parametrize(
    ("kind", "amount", "expected"),
    [
        ("times", 3.0, lambda x: 3 * x),
        ("to", 7.0, lambda x: 0 * x + 7),
        ("plus", 2.0, lambda x: x + 2),
    ],
)
def test_an_effect_changes_one_condition_of_one_key_while_it_lasts(
    kind: str, amount: float, expected: object
) -> None:
    before, after = day(), day()
    inject([incident(ConditionChange("latency_ms", kind, amount))], after, 0)  # type: ignore[arg-type] # one of the kinds
    assert callable(expected)
    assert np.allclose(after.latency_ms[100:160, 0], expected(before.latency_ms[100:160, 0]))
    after.latency_ms[100:160, 0] = before.latency_ms[100:160, 0]
    for name in ("latency_ms", "requests", "ttft_ms", "errors"):
        assert np.array_equal(getattr(after, name), getattr(before, name))


def test_a_ramp_reaches_its_size_in_its_time() -> None:
    before, after = day(), day()
    inject([incident(ConditionChange("latency_ms", "times", 2.0), ramp=10)], after, 0)
    factor = after.latency_ms[100:160, 0] / before.latency_ms[100:160, 0]
    assert factor[:10] == pytest.approx(np.arange(1.1, 2.05, 0.1))
    assert factor[10:] == pytest.approx(2)


def test_a_drift_goes_on_over_midnight() -> None:
    drift = incident(ConditionChange("price", "daily", 1.5), begin=MINUTES // 2, end=3 * MINUTES)
    second = day()
    inject([drift], second, MINUTES)
    assert second.price[0, 0] == pytest.approx(1.5**0.5)
    assert second.price[MINUTES // 2, 0] == pytest.approx(1.5)


def test_faults_are_placed_before_the_end_for_each_key_of_their_group() -> None:
    random = np.random.default_rng(5)
    population = populate(GROUPS, random)
    fault = GroupFault("sick", "t", (), 90, 600, scattered_minutes=300)
    placed = place([fault], population, 10, random)
    assert [one.key for one in placed] == ["sick-1", "sick-2"]
    for one in placed:
        assert 10 * MINUTES - 600 <= one.begin <= 10 * MINUTES - 300
        assert one.end == one.begin + 90
