"""SQL of panels: which table answers a range, which bucket a point is, and filters by variables.

Panels read windows, never raw rows, where a sum or a percentile is asked for: up to two days from
the minutes, beyond that from the hours. Both branches are in the text, and ClickHouse reads one.

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
_RANGE_S = "(toUnixTimestamp($__toTime) - toUnixTimestamp($__fromTime))"
_IS_SHORT = f"{_RANGE_S} <= {MINUTES_UP_TO_S}"
_STEP_S = f"if({_IS_SHORT}, 60, 3600)"

BUCKET_S = f"greatest(intDiv($__interval_s, {_STEP_S}) * {_STEP_S}, {_STEP_S})"
"""Seconds of one point: what Grafana asks for, in whole minutes or hours. Sums / it are rates."""
BUCKET = f"toStartOfInterval(window_start, toIntervalSecond({BUCKET_S}))"
"""Start of the point that a row of WINDOWS belongs to: `SELECT {BUCKET} AS time, …`."""


def _windows(shift: str) -> str:
    """Write WINDOWS, `shift` later than it was."""
    branches = (
        f"SELECT * REPLACE (w.window_start{shift} AS window_start) FROM {table} AS w"
        f" WHERE {condition}"
        f" AND $__timeFilter(w.window_start{shift})"
        for table, condition in (("windows_1m", _IS_SHORT), ("windows_1h", f"NOT {_IS_SHORT}"))
    )
    return f"({' UNION ALL '.join(branches)})"


WINDOWS = _windows("")
"""What to read FROM: rows of windows in the range of the board, by minute or hour.

Columns are those of windows_1m: always sum(), and sumMap() for histograms."""
WINDOWS_WEEK_BEFORE = _windows(" + toIntervalDay(7)")
"""The same, a week before: `window_start` is moved into the range of the board."""

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
