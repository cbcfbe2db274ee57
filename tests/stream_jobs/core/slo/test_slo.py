"""Burn over two stretches, what is left of the budget, and which rules can fire at all."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tokentide_jobs.core.slo.slo import Good, Slo, rules_of, unreachable
from tokentide_jobs.core.slo.slo_status import (
    SloStatus,
    WindowCounts,
    count,
    reads_of,
    status_of,
)

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
NOW_US = 500_000 * HOUR_US
SLO = Slo(
    name="api", scope=(("tenant", "acme"),), good=Good(what="errors"), objective=0.99,
    window_days=30,
)  # fmt: skip


def status(*spans: tuple[float, float, float], slo: Slo = SLO) -> SloStatus:
    """Return the status of 100 events a minute: (hours ago from, to, share of bad ones)."""
    windows = [
        WindowCounts(start_us, start_us + MINUTE_US, 100, round(100 * share))
        for from_h, to_h, share in spans
        for start_us in range(
            NOW_US - round(from_h * HOUR_US), NOW_US - round(to_h * HOUR_US), MINUTE_US
        )
    ]
    return status_of(slo, windows, NOW_US)


def test_rules_of_thirty_days_are_those_of_the_workbook() -> None:
    assert [(one.factor, one.long_s, one.short_s, one.severity) for one in rules_of(SLO)] == [
        (14.4, 3_600, 300, "page"), (6.0, 21_600, 1_800, "page"),
        (3.0, 86_400, 7_200, "ticket"), (1.0, 259_200, 21_600, "ticket"),
    ]  # fmt: skip


def test_another_window_has_stretches_in_proportion() -> None:
    week = rules_of(replace(SLO, window_days=7))
    assert [(one.long_s // 60, one.short_s // 60) for one in week] == [
        (14, 2), (84, 7), (336, 28), (1_008, 84),
    ]  # fmt: skip


def test_a_fast_burn_fires_while_it_goes_on_and_not_after() -> None:
    burning = status((72, 1, 0.0), (1, 0, 0.2)).burning
    assert burning is not None
    assert (burning.rule.factor, round(burning.long)) == (14.4, 20)
    over = status((72, 1.2, 0.0), (1.2, 0.2, 0.2), (0.2, 0, 0.0))
    assert not over.burns[0].is_burning
    assert over.burns[0].long > 14.4


def test_a_slow_burn_is_a_ticket() -> None:
    slow = status((72, 0, 0.02)).burning
    assert slow is not None
    assert (slow.rule.factor, slow.rule.severity) == (1.0, "ticket")


def test_the_budget_that_is_left_is_a_share_of_what_was_allowed() -> None:
    half = status((10, 5, 0.0), (5, 0, 0.01))
    assert half.budget_left == pytest.approx(0.5)
    assert half.verdict == "ok"
    missed = status((20, 10, 0.05), (10, 0, 0.0))
    assert missed.verdict == "missed"
    assert "used up 2.5 times" in missed.sentence


def test_few_events_burn_nothing_and_none_are_no_verdict() -> None:
    few = replace(SLO, least_events=501)
    assert not status((0.08, 0, 1.0), slo=few).burns[0].is_burning
    assert status().verdict == "no events"
    assert status().good_share is None


@pytest.mark.parametrize(
    ("objective", "never"),
    [(0.99, ()), (0.931, ()), (0.93, (14.4,)), (0.9, (14.4,)), (0.8, (14.4, 6.0))],
)
def test_a_rule_that_needs_more_than_everything_bad_cannot_fire(
    objective: float, never: tuple[float, ...]
) -> None:
    slo = replace(SLO, objective=objective)
    assert unreachable(slo) == never
    worst = status((80, 0, 1.0), slo=slo)
    assert {one.rule.factor for one in worst.burns if not one.is_burning} == set(never)


def test_what_counts_and_what_is_bad() -> None:
    row = {
        "requests": 100, "errors": 9, "errors_rate_limit": 4, "timed": 80, "slow": 7,
        "scored": 10, "score_micro_sum": 7_999_999,
    }  # fmt: skip
    goods = [
        Good(what="errors"), Good(what="errors", counts_rate_limit=False),
        Good(what="latency_ms", limit=500), Good(what="quality", limit=0.8),
        Good(what="quality", limit=0.79),
    ]  # fmt: skip
    assert [count(replace(SLO, good=good), row) for good in goods] == [
        (100, 9), (96, 5), (80, 7), (10, 10), (10, 0),
    ]  # fmt: skip


def test_a_limit_is_good_up_to_the_end_of_its_bucket() -> None:
    limit = Good(what="latency_ms", limit=2_000)
    above = Good(what="latency_ms", limit=2_000 * 1.021)
    assert above.bucket == limit.bucket + 1
    assert Good(what="latency_ms", limit=2_000 * 1.0001).bucket == limit.bucket


@pytest.mark.parametrize("days", [1, 3, 30])
@pytest.mark.parametrize("what", ["errors", "quality"])
def test_every_instant_of_the_window_and_of_the_stretches_is_read_once(
    days: int, what: str
) -> None:
    good = Good(what="quality", limit=0.5) if what == "quality" else Good(what="errors")
    slo = replace(SLO, window_days=days, good=good)
    reads = reads_of(slo, NOW_US + 1)
    ranges = sorted([*reads.hours, *reads.minutes])
    assert ranges[-1][1] == NOW_US
    longest_us = max(rule.long_s for rule in rules_of(slo)) * 1_000_000
    assert ranges[0][0] <= NOW_US - max(days * 24 * HOUR_US, longest_us)
    assert all(one[1] == other[0] for one, other in pairwise(ranges))
    assert all(one % HOUR_US == 0 for pair in reads.hours for one in pair)
    assert reads.minutes[0][0] <= NOW_US - longest_us
