"""The macros of the ClickHouse plugin 4.20, expanded as its backend does.

Comments go first, then names as whole words, innermost first. A macro that is not known stays as it
is, and one inside a text is expanded too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from tokentide_dashboards.check.time_range import TimeRange

__all__ = ["MacroError", "arguments", "expand_macros", "without_comments"]

NAME = re.compile(r"\$__(\w+)")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0}
REGION = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"""
    r"""|(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))""",
    re.DOTALL,
)


class MacroError(ValueError):
    """A macro that the plugin would refuse."""


Expansion = Callable[[TimeRange, list[str]], str]


def _seconds(unix_s: int) -> str:
    return f"toDateTime({unix_s})"


def _milliseconds(unix_ms: int) -> str:
    return f"fromUnixTimestamp64Milli({unix_ms})"


def _date(unix_ms: int) -> str:
    return f"toDate('{datetime.fromtimestamp(unix_ms / 1_000, UTC):%Y-%m-%d}')"


def _between(column: str, low: str, high: str) -> str:
    return f"{column} >= {low} AND {column} <= {high}"


def _times(span: TimeRange, column: str) -> str:
    return _between(column, _seconds(span.start_s), _seconds(span.end_s))


def _dates(span: TimeRange, column: str) -> str:
    return _between(column, _date(span.start_ms), _date(span.end_ms))


def _time_group(_span: TimeRange, given: list[str]) -> str:
    period = given[1].strip("'\"")
    parts = DURATION.findall(period)
    if "".join(number + unit for number, unit in parts) != period or not parts:
        raise MacroError(f"$__timeGroup: {period!r} is no duration of Go: write 5m or 1h30m")
    total_s = round(sum(float(number) * SECONDS[unit] for number, unit in parts))
    if total_s <= 0:
        raise MacroError(f"$__timeGroup: the interval {period!r} is not positive")
    return f"toStartOfInterval(toDateTime({given[0]}), INTERVAL {total_s} second)"


MACROS: Mapping[str, tuple[int | None, Expansion]] = {
    "fromTime": (None, lambda span, _: _seconds(span.start_s)),
    "toTime": (None, lambda span, _: _seconds(span.end_s)),
    "fromTime_ms": (None, lambda span, _: _milliseconds(span.start_ms)),
    "toTime_ms": (None, lambda span, _: _milliseconds(span.end_ms)),
    "timeFilter": (1, lambda span, given: _times(span, given[0])),
    "timeFilter_ms": (
        1,
        lambda span, given: _between(
            given[0], _milliseconds(span.start_ms), _milliseconds(span.end_ms)
        ),
    ),
    "dateFilter": (1, lambda span, given: _dates(span, given[0])),
    "dateTimeFilter": (
        2,
        lambda span, given: f"({_dates(span, given[0])}) AND ({_times(span, given[1])})",
    ),
    "dt": (2, lambda span, given: f"({_dates(span, given[0])}) AND ({_times(span, given[1])})"),
    "timeFrom": (1, lambda span, given: f"{given[0]} >= {_seconds(span.start_s)}"),
    "timeTo": (1, lambda span, given: f"{given[0]} <= {_seconds(span.end_s)}"),
    "timeInterval": (
        1,
        lambda span, given: (
            f"toStartOfInterval(toDateTime({given[0]}), INTERVAL {span.interval_s} second)"
        ),
    ),
    "timeInterval_ms": (
        1,
        lambda span, given: (
            f"toStartOfInterval(toDateTime64({given[0]}, 3),"
            f" INTERVAL {max(span.interval_ms, 1)} millisecond)"
        ),
    ),
    "interval_s": (None, lambda span, _: str(span.interval_s)),
    "interval": (None, lambda span, _: span.interval_text),
    "interval_ms": (None, lambda span, _: str(span.interval_ms)),
    "timeGroup": (2, _time_group),
}
"""Macros by name: how many arguments they take, and what they become."""


def without_comments(sql: str) -> str:
    """Return the statement with blanks in the place of comments; texts keep what looks like one."""
    return REGION.sub(lambda found: found["text"] or " " * len(found[0]), sql)


def arguments(sql: str, opening: int) -> tuple[list[str], int] | None:
    """Return the arguments between brackets and where they end, or None where nothing closes them.

    Args:
        sql: The statement.
        opening: Where the opening bracket is.
    """
    depth, begin = 0, opening + 1
    found: list[str] = []
    for place in range(opening, len(sql)):
        depth += (sql[place] == "(") - (sql[place] == ")")
        if depth == 0 or (depth == 1 and sql[place] == ","):
            found.append(sql[begin:place])
            begin = place + 1
        if depth == 0:
            return found, begin
    return None


def expand_macros(sql: str, span: TimeRange) -> str:
    """Return the statement as the plugin's backend sends it.

    Raises:
        MacroError: A macro has another number of arguments than it takes, or is not closed.
    """
    sql = without_comments(sql)
    for found in reversed(list(NAME.finditer(sql))):
        if found[1] not in MACROS:
            continue
        count, expansion = MACROS[found[1]]
        given: list[str] = []
        end = found.end()
        if sql[end : end + 1] == "(":
            closed = arguments(sql, end)
            if closed is None:
                raise MacroError(f"{found[0]} is never closed")
            given, end = [one.strip() for one in closed[0]], closed[1]
            given = [] if given == [""] else given
        if count is not None and len(given) != count:
            raise MacroError(f"{found[0]} takes {count} argument(s), not {len(given)}")
        sql = sql[: found.start()] + expansion(span, given) + sql[end:]
    return sql
