"""Macros become what the ClickHouse plugin makes of them, by the cases of its own tests."""

from __future__ import annotations

import pytest

from tests.each import each
from tokentide_dashboards.check.macros import MacroError, expand_macros, without_comments
from tokentide_dashboards.check.time_range import TimeRange, interval_ms

SPAN = TimeRange(1_415_792_726_123, 1_447_328_726_456, 60_000)
FROM, TO = "toDateTime(1415792726)", "toDateTime(1447328726)"
FROM_MS = "fromUnixTimestamp64Milli(1415792726123)"
TO_MS = "fromUnixTimestamp64Milli(1447328726456)"

CASES = {
    "$__fromTime": FROM,
    "$__toTime": TO,
    "$__fromTime_ms": FROM_MS,
    "$__toTime_ms": TO_MS,
    "$__dateFilter(dateCol)": "dateCol >= toDate('2014-11-12') AND dateCol <= toDate('2015-11-12')",
    "$__dt(dateCol, timeCol)": (
        "(dateCol >= toDate('2014-11-12') AND dateCol <= toDate('2015-11-12'))"
        f" AND (timeCol >= {FROM} AND timeCol <= {TO})"
    ),
    "$__timeInterval(col)": "toStartOfInterval(toDateTime(col), INTERVAL 60 second)",
    "$__timeInterval_ms(col)": (
        "toStartOfInterval(toDateTime64(col, 3), INTERVAL 60000 millisecond)"
    ),
    "$__interval_s": "60",
    "$__timeFrom(ts)": f"ts >= {FROM}",
    "$__timeTo(ts)": f"ts <= {TO}",
    "$__timeGroup(ts, 5m)": "toStartOfInterval(toDateTime(ts), INTERVAL 300 second)",
    "$__timeGroup(ts, 1h)": "toStartOfInterval(toDateTime(ts), INTERVAL 3600 second)",
    "select * from foo where $__timeFilter(cast(sth as timestamp) )": (
        f"select * from foo where cast(sth as timestamp) >= {FROM}"
        f" AND cast(sth as timestamp) <= {TO}"
    ),
    "select * from foo where $__timeFilter_ms(cast(sth as timestamp))": (
        f"select * from foo where cast(sth as timestamp) >= {FROM_MS}"
        f" AND cast(sth as timestamp) <= {TO_MS}"
    ),
    "where ( date >= $__fromTime ) and ( date <= $__toTime ) limit 100": (
        f"where ( date >= {FROM} ) and ( date <= {TO} ) limit 100"
    ),
    # nested, the innermost first
    "SELECT $__timeInterval($__fromTime) AS from_time": (
        f"SELECT toStartOfInterval(toDateTime({FROM}), INTERVAL 60 second) AS from_time"
    ),
    "$__timeFilter(coalesce(closed_at, $__toTime))": (
        f"coalesce(closed_at, {TO}) >= {FROM} AND coalesce(closed_at, {TO}) <= {TO}"
    ),
    # texts that look as if comments began in them
    r"msg = 'it\'s -- fine' and $__fromTime": rf"msg = 'it\'s -- fine' and {FROM}",
    r"msg = 'a\'/*x' and $__toTime": rf"msg = 'a\'/*x' and {TO}",
    "msg = 'it''s' and $__fromTime": f"msg = 'it''s' and {FROM}",
    "SELECT `it's` AS x FROM t WHERE msg = 'a--b' AND $__timeFrom(ts)": (
        f"SELECT `it's` AS x FROM t WHERE msg = 'a--b' AND ts >= {FROM}"
    ),
    "SELECT `a--b`, `c/*d` FROM t WHERE $__fromTime": f"SELECT `a--b`, `c/*d` FROM t WHERE {FROM}",
    "SELECT $doc$a--b$doc$ AS x FROM t WHERE $__toTime": (
        f"SELECT $doc$a--b$doc$ AS x FROM t WHERE {TO}"
    ),
    # what is no macro stays, and a longer name is no shorter one
    "$__timeFilterX(a) $__columns(a)": "$__timeFilterX(a) $__columns(a)",
    "'$__interval_s'": "'60'",
}


@each("sql", CASES)
def test_a_macro_becomes_what_the_plugin_makes_of_it(sql: str) -> None:
    assert expand_macros(sql, SPAN) == CASES[sql]


def test_a_macro_in_a_comment_is_gone() -> None:
    assert expand_macros("SELECT 1 -- $__timeFilter()\n/* $__dt(a) */ + 2", SPAN).split() == [
        "SELECT", "1", "+", "2",
    ]  # fmt: skip
    assert without_comments("a /* never closed") == "a" + " " * 16


@each(
    "sql",
    [
        "$__timeFilter", "$__timeFilter()", "$__timeFilter(a, b)", "$__dt(d)", "$__timeFrom()",
        "$__timeGroup(ts)", "$__timeGroup(ts, not-a-duration)", "$__timeGroup(ts, 0s)", "$__dt(a",
    ],
)  # fmt: skip
def test_what_the_plugin_refuses_is_refused(sql: str) -> None:
    with pytest.raises(MacroError, match=r"\$__"):
        expand_macros(sql, SPAN)


@pytest.mark.parametrize(
    ("hours", "points", "least", "expected_ms"),
    [
        (6, 800, "1m", 60_000),
        (6, 800, "10s", 30_000),
        (24, 800, "1m", 120_000),
        (720, 800, "1m", 3_600_000),
        (720, 100, "1m", 21_600_000),
        (1, 800, "1s", 5_000),
    ],
)
def test_points_are_as_far_apart_as_in_grafana(
    hours: int, points: int, least: str, expected_ms: int
) -> None:
    assert interval_ms(hours * 3_600_000, points, least) == expected_ms


def test_an_interval_without_a_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="'5' is no number with a unit"):
        interval_ms(1, 1, "5")
