"""Panels without a time axis take whole days from the days: the sums are those of the hours."""

from __future__ import annotations

import datetime as dt

import pytest
from clickhouse_connect.driver.client import Client

from tests.dashboards.test_boards import span
from tests.sql.cookbook_calls import NOW, seed
from tokentide_dashboards.check.browser import expand
from tokentide_dashboards.kit.query import TOTALS, TOTALS_WEEK_BEFORE, WINDOWS, WINDOWS_WEEK_BEFORE

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def seeded(sql_client: Client) -> Client:
    seed(sql_client)
    return sql_client


@pytest.mark.parametrize(
    ("totals", "windows"),
    [(TOTALS, WINDOWS), (TOTALS_WEEK_BEFORE, WINDOWS_WEEK_BEFORE)],
    ids=["now", "week_before"],
)
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
    seeded: Client, totals: str, windows: str, days: float, end: dt.datetime
) -> None:
    sums = "SELECT sum(requests), sum(cost_pico_usd), count() FROM "
    (exact, exact_cost, rows), (total, total_cost, fewer) = (
        seeded.query(expand(sums + table, span(days, end), {})).result_rows[0]
        for table in (windows, totals)
    )
    assert (total, total_cost) == (exact, exact_cost)
    assert exact
    assert fewer < rows or days < 2


def test_beyond_two_months_all_whole_days_count(seeded: Client) -> None:
    end = NOW.replace(hour=23, minute=59)
    by_hours, by_days = (
        seeded.query(expand(f"SELECT sum(requests) FROM {WINDOWS}", span(days, end), {}))
        for days in (61.9, 90.0)
    )
    assert by_days.result_rows == by_hours.result_rows
    assert by_days.result_rows[0][0]
