"""SQL of panels: which table answers a range, which bucket a point is, and filters by variables.

Panels read windows, never raw rows, where a sum or a percentile is asked for: up to two days from
the minutes, then from the hours, beyond two months from the days. What has no time axis takes whole
days from the days as soon as it leaves the minutes: the same sums from a tenth of the rows. All
branches are in the text, and ClickHouse reads those whose condition holds.

A filter takes the values of a variable as JSON between dollar quotes. Of Grafana's formats
only that one survives a value with a quote or a backslash: `singlequote` and `sqlstring` leave
backslashes as they are, and ClickHouse reads them as escapes.
"""

from __future__ import annotations

from tokentide_dashboards.kit.json_value import Object

__all__ = [
    "BUCKET",
    "BUCKET_S",
    "DATASOURCE",
    "PLUGIN_VERSION",
    "TABLE",
    "TIME_SERIES",
    "TOTALS",
    "TOTALS_WEEK_BEFORE",
    "WINDOWS",
    "WINDOWS_WEEK_BEFORE",
    "any_of",
    "chosen",
    "target",
    "where",
]

DATASOURCE: Object = {"type": "grafana-clickhouse-datasource", "uid": "tokentide-clickhouse"}
PLUGIN_VERSION = "4.20.0"
TIME_SERIES = 0
TABLE = 1
"""Formats of the plugin: 0 makes series of (time, labels, numbers), 1 leaves rows as they are."""

MINUTES_UP_TO_S = 2 * 86_400
HOURS_UP_TO_S = 62 * 86_400
_RANGE_S = "(toUnixTimestamp($__toTime) - toUnixTimestamp($__fromTime))"
_BY_MINUTES = f"{_RANGE_S} <= {MINUTES_UP_TO_S}"
_BY_DAYS = f"{_RANGE_S} > {HOURS_UP_TO_S}"
_BY_HOURS = f"NOT ({_BY_MINUTES} OR {_BY_DAYS})"
_STEP_S = f"multiIf({_BY_MINUTES}, 60, {_BY_DAYS}, 86400, 3600)"

BUCKET_S = f"greatest(intDiv($__interval_s, {_STEP_S}) * {_STEP_S}, {_STEP_S})"
"""Seconds of one point: what Grafana asks for, in whole minutes, hours or days. Sums / it are
rates."""
BUCKET = f"toStartOfInterval(window_start, toIntervalSecond({BUCKET_S}))"
"""Start of the point that a row of WINDOWS belongs to: `SELECT {BUCKET} AS time, …`."""

# Hours of the range that make up whole days (UTC); the hours before and after them stay hours.
_FIRST_DAY = "toStartOfDay(toDateTime($__fromTime, 'UTC') + toIntervalSecond(86399))"
_END_OF_DAYS = "toStartOfDay(toDateTime($__toTime, 'UTC') + toIntervalHour(1))"
_WEEK = " + toIntervalDay(7)"


def _union(shift: str, branches: tuple[tuple[str, str], ...]) -> str:
    """Write rows of all these (table, condition) in the range, `shift` later than they were."""
    start = f"w.window_start{shift}"
    texts = (
        f"SELECT * REPLACE ({start} AS window_start) FROM {table} AS w"
        f" WHERE {condition.replace('window_start', start)} AND $__timeFilter({start})"
        for table, condition in branches
    )
    return f"({' UNION ALL '.join(texts)})"


_SERIES = (
    ("windows_1m", _BY_MINUTES),
    ("windows_1h", _BY_HOURS),
    ("windows_1d", _BY_DAYS),
)
_IN_DAYS = f"window_start >= {_FIRST_DAY} AND window_start < {_END_OF_DAYS}"
_TOTALS = (
    ("windows_1m", _BY_MINUTES),
    ("windows_1h", f"NOT ({_BY_MINUTES}) AND NOT ({_IN_DAYS})"),
    ("windows_1d", f"NOT ({_BY_MINUTES}) AND {_IN_DAYS}"),
)

WINDOWS = _union("", _SERIES)
"""What to read FROM over time: rows of windows in the range of the board, by minute, hour or day.

Columns are those of windows_1m: always sum(), and sumMap() for histograms."""
WINDOWS_WEEK_BEFORE = _union(_WEEK, _SERIES)
"""The same, a week before: `window_start` is moved into the range of the board."""
TOTALS = _union("", _TOTALS)
"""What to read FROM where nothing is grouped by time: the same sums, from fewer rows."""
TOTALS_WEEK_BEFORE = _union(_WEEK, _TOTALS)
"""The same, a week before."""

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


def target(sql: str, output: int, ref_id: str = "A") -> Object:
    """Return a query of the plugin's, whole as its editor writes it."""
    return {
        "refId": ref_id,
        "datasource": DATASOURCE,
        "pluginVersion": PLUGIN_VERSION,
        "editorType": "sql",
        "queryType": "timeseries" if output == TIME_SERIES else "table",
        "format": output,
        "rawSql": sql,
        "meta": {"timezone": "UTC"},
    }
