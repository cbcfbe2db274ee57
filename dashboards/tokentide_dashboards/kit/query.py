"""SQL of panels: which table answers a range, which bucket a point is, and filters by variables.

Panels read windows, never raw rows, where a sum or a percentile is asked for: up to two days from
the minutes, then from the hours, beyond two months from the days. What has no time axis takes whole
days from the days as soon as it leaves the minutes: the same sums from a tenth of the rows. All
branches are in the text, and ClickHouse reads those whose condition holds. What a range means (its
length, the seconds of a point) has names, which stand at the head of every query that uses them.

A filter takes the values of a variable as JSON between dollar quotes. Of Grafana's formats
only that one survives a value with a quote or a backslash: `singlequote` and `sqlstring` leave
backslashes as they are, and ClickHouse reads them as escapes.
"""

from __future__ import annotations

import re

from tokentide_dashboards.kit.json_value import Object
from tokentide_jobs.core.tables import ROLLUPS, WINDOW_LENGTH_S

__all__ = [
    "BUCKET",
    "BUCKET_S",
    "DATASOURCE",
    "OF_CALLS",
    "PLUGIN_VERSION",
    "TABLE",
    "TIME_SERIES",
    "TOTALS",
    "TOTALS_TWICE",
    "WEEK_S",
    "WINDOWS",
    "WINDOWS_TWICE",
    "any_of",
    "chosen",
    "target",
    "where",
    "with_names",
]

DATASOURCE: Object = {"type": "grafana-clickhouse-datasource", "uid": "tokentide-clickhouse"}
PLUGIN_VERSION = "4.20.0"
TIME_SERIES = 0
TABLE = 1
"""Formats of the plugin: 0 makes series of (time, labels, numbers), 1 leaves rows as they are."""

MINUTES_UP_TO_S = 2 * 86_400
HOURS_UP_TO_S = 62 * 86_400
WEEK_S = 7 * 86_400
_WEEK = f" - toIntervalSecond({WEEK_S})"
_MINUTES, _HOURS, _DAYS = ROLLUPS
_NAMES = {
    "range_s": "toUnixTimestamp($__toTime) - toUnixTimestamp($__fromTime)",
    "by_minutes": f"range_s <= {MINUTES_UP_TO_S}",
    "by_days": f"range_s > {HOURS_UP_TO_S}",
    "by_hours": "NOT (by_minutes OR by_days)",
    "step_s": (
        f"multiIf(by_minutes, {WINDOW_LENGTH_S[_MINUTES]}, "
        f"by_days, {WINDOW_LENGTH_S[_DAYS]}, {WINDOW_LENGTH_S[_HOURS]})"
    ),
    "bucket_s": "greatest(intDiv($__interval_s, step_s) * step_s, step_s)",
    # Hours of the range that make up whole days (UTC); the hours before and after them stay hours.
    "first_day": "toStartOfDay(toDateTime($__fromTime, 'UTC') + toIntervalSecond(86399))",
    "end_of_days": "toStartOfDay(toDateTime($__toTime, 'UTC') + toIntervalHour(1))",
}
"""What is the same for all rows, by the name that queries call it; each may use those before it.

ClickHouse works out a name once, and a text wherever it stands: where a text stood thirty times, a
quarter of the time of a query over six hours went into that."""

BUCKET_S = "bucket_s"
"""Seconds of one point: what Grafana asks for, in whole minutes, hours or days. Sums / it are
rates."""
BUCKET = f"toStartOfInterval(window_start, toIntervalSecond({BUCKET_S}))"
"""Start of the point that a row of WINDOWS belongs to: `SELECT {BUCKET} AS time, …`."""

OF_CALLS = (
    "(by_minutes OR $__timeFilter(toStartOfHour(started_at, 'UTC')))"
    " AND (NOT by_minutes OR $__timeFilter(started_at))"
)
"""Calls of the range; beyond two days those of its hours, as windows count them."""

_IN_DAYS = "w.window_start >= first_day AND w.window_start < end_of_days"
_SERIES = (
    (_MINUTES, "by_minutes", ""),
    (_HOURS, "by_hours", ""),
    (_DAYS, "by_days", ""),
)
_TOTALS = (
    (_MINUTES, "by_minutes", ""),
    (_HOURS, "NOT by_minutes", f"NOT ({_IN_DAYS})"),
    (_DAYS, "NOT by_minutes", _IN_DAYS),
)
"""Tables, when they are read, and which of their rows."""


def _in_range(rows: str, before: str = "") -> str:
    """Write the condition of rows in the range, or of those as much earlier as `before` says."""
    moved = rows.replace("first_day", f"first_day{before}").replace(
        "end_of_days", f"end_of_days{before}"
    )
    times = (
        f"w.window_start >= $__fromTime{before} AND w.window_start <= $__toTime{before}"
        if before
        else "$__timeFilter(w.window_start)"
    )
    return " AND ".join(filter(None, (moved, times)))


def _once(branches: tuple[tuple[str, str, str], ...]) -> str:
    texts = (
        f"SELECT * FROM {table} AS w WHERE {when} AND {_in_range(rows)}"
        for table, when, rows in branches
    )
    return f"({' UNION ALL '.join(texts)})"


def _twice(branches: tuple[tuple[str, str, str], ...]) -> str:
    texts = (
        f"SELECT *, ({_in_range(rows)}) AS is_now, ({_in_range(rows, _WEEK)}) AS is_before"
        f" FROM {table} AS w WHERE {when} AND (is_now OR is_before)"
        for table, when, rows in branches
    )
    return f"({' UNION ALL '.join(texts)})"


WINDOWS = _once(_SERIES)
"""What to read FROM over time: rows of windows in the range of the board, by minute, hour or day.

Columns are those of windows_1m: always sum(), and sumMap() for histograms."""
WINDOWS_TWICE = _twice(_SERIES)
"""The same with those of a week before: a row `is_now` in the range, or `is_before`, or both.

Each row stands in it once: over a month, three weeks of rows are both."""
TOTALS = _once(_TOTALS)
"""What to read FROM where nothing is grouped by time: the same sums, from fewer rows."""
TOTALS_TWICE = _twice(_TOTALS)
"""The same with those of a week before: sumIf(…, is_now), and sumIf(…, is_before)."""

_TAG = "$tokentide$"


def any_of(variable: str, column: str = "") -> str:
    """Write a condition: the column is one of the chosen values, or anything under All.

    Args:
        variable: Name of a variable with several values (`multi`).
        column: The column, named as the variable where it is left out.
    """
    # The plugin puts the condition in with JavaScript's String.replace, which reads $$ and $' as
    # commands: hence the spaces.
    values = f"JSONExtract({_TAG} ${{{variable}:json}} {_TAG}, 'Array(String)')"
    return f"$__conditionalAll(has({values}, toString({column or variable})), ${variable})"


def where(*variables: str) -> str:
    """Write the conditions of all these variables, over columns of the same names."""
    return " AND ".join(any_of(name) for name in variables)


def chosen(variable: str) -> str:
    """Write the one value of a variable as a text: `prompt_version = {chosen("left")}`."""
    return f"{_TAG}${{{variable}:raw}}{_TAG}"


def with_names(sql: str) -> str:
    """Put the names that a query uses, of those that stand for the range, at its head.

    Raises:
        ValueError: The query has a head of its own already.
    """
    used = _used(sql)
    for name in reversed(_NAMES):
        if name in used:
            used |= _used(_NAMES[name])
    if not used:
        return sql
    if sql.lstrip().upper().startswith("WITH"):
        raise ValueError(f"a query that begins with WITH cannot use {', '.join(sorted(used))}")
    meanings = ",\n    ".join(f"{text} AS {name}" for name, text in _NAMES.items() if name in used)
    return f"WITH\n    {meanings}\n{sql}"


def _used(text: str) -> set[str]:
    return set(re.findall(r"\w+", text)) & _NAMES.keys()


def target(sql: str, output: int, ref_id: str = "A") -> Object:
    """Return a query of the plugin's, whole as its editor writes it."""
    return {
        "refId": ref_id,
        "datasource": DATASOURCE,
        "pluginVersion": PLUGIN_VERSION,
        "editorType": "sql",
        "queryType": "timeseries" if output == TIME_SERIES else "table",
        "format": output,
        "rawSql": with_names(sql),
        "meta": {"timezone": "UTC"},
    }
