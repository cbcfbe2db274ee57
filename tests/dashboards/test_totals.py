"""Sums of panels, by whichever tables they are read: those of the hours or minutes of the range.

Panels without a time axis take whole days from the days, and a week before is read with the range.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from clickhouse_connect.driver.client import Client

from tests.dashboards.test_boards import span
from tests.sql.cookbook_calls import NOW, seed
from tokentide_dashboards.boards.shared_calls import both
from tokentide_dashboards.check.browser import ALL, expand
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_dashboards.kit.query import (
    BUCKET,
    TOTALS,
    TOTALS_TWICE,
    WINDOWS,
    WINDOWS_TWICE,
    with_names,
)
from tokentide_dashboards.kit.variable import SCOPE_NAMES

pytestmark = pytest.mark.integration

SUMS = ("sum(requests)", "sum(cost_pico_usd)", "sumMap(latency_hist)")
WEEK = dt.timedelta(days=7)
EVERYTHING = dict.fromkeys(SCOPE_NAMES, ALL)


@pytest.fixture(scope="module")
def seeded(sql_client: Client) -> Client:
    seed(sql_client)
    return sql_client


@pytest.mark.parametrize(
    ("days", "end"),
    [
        (1.0, NOW),
        (2.01, NOW),  # no whole day but one
        (9.0, NOW.replace(hour=0, minute=0)),
        (9.0, NOW.replace(hour=22, minute=59)),
        (9.0, NOW.replace(hour=23, minute=0)),
        (9.4, NOW.replace(hour=23, minute=59)),
        (61.9, NOW),
    ],
)
def test_totals_are_the_sums_of_the_windows_of_the_range(
    seeded: Client, days: float, end: dt.datetime
) -> None:
    def asked(what: str, table: str, end: dt.datetime = end) -> tuple[object, ...]:
        text = expand(with_names(f"SELECT {what} FROM {table}"), span(days, end), {})
        return tuple(seeded.query(text).result_rows[0])

    sums = ", ".join(SUMS)
    now, before = asked(sums, WINDOWS), asked(sums, WINDOWS, end - WEEK)
    assert now[0]
    assert now != before
    assert asked(sums, TOTALS) == now
    (fewer,), (rows,) = asked("count()", TOTALS), asked("count()", WINDOWS)
    assert fewer < rows or days < 2  # type: ignore[operator] # counts
    for table in (TOTALS_TWICE, WINDOWS_TWICE):
        for flag, expected in (("is_now", now), ("is_before", before)):
            of_these = ", ".join(one.replace("(", "If(").replace(")", f", {flag})") for one in SUMS)
            assert asked(of_these, table) == expected, (table, flag)


@pytest.mark.parametrize(
    ("days", "step_s"),
    [(1.0, 60), (1.5, 700), (3.0, 3_600), (9.4, 18_000), (30.0, 3_600), (30.0, 2_592_000)],
)
def test_points_of_both_weeks_are_those_of_each_week_alone(
    seeded: Client, days: float, step_s: int
) -> None:
    """Steps of 700 s, five hours and thirty days do not divide a week."""
    here = replace(span(days), interval_ms=step_s * 1_000)
    earlier = replace(here, start_ms=here.start_ms - 604_800_000, end_ms=here.end_ms - 604_800_000)

    def points(table: str, over: TimeRange, flag: str = "") -> list[tuple[object, ...]]:
        of_these = ", ".join(
            one.replace("(", "If(").replace(")", f", {flag})") if flag else one for one in SUMS
        )
        text = (
            f"SELECT {BUCKET} AS time, {of_these} FROM {table}"
            f" WHERE {flag or 'requests > 0'} GROUP BY time ORDER BY time"
        )
        asked = expand(with_names(text), over, EVERYTHING)
        return [tuple(row) for row in seeded.query(asked).result_rows]

    once = both("requests", "cost_pico_usd", "latency_hist")
    moved = f"(SELECT * REPLACE (window_start + toIntervalDay(7) AS window_start) FROM {WINDOWS})"
    now, before = points(WINDOWS, here), points(moved, earlier)
    assert now
    assert before
    assert points(once, here, "is_now") == now
    assert points(once, here, "is_before") == before


def test_beyond_two_months_all_whole_days_count(seeded: Client) -> None:
    end = NOW.replace(hour=23, minute=59)
    by_hours, by_days = (
        seeded.query(
            expand(with_names(f"SELECT sum(requests) FROM {WINDOWS}"), span(days, end), {})
        )
        for days in (61.9, 90.0)
    )
    assert by_days.result_rows == by_hours.result_rows
    assert by_days.result_rows[0][0]
