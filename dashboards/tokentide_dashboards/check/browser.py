"""What the plugin does in the browser before its backend sees a query: conditions and variables.

The steps and their traps are the plugin's own: `$__conditionalAll` counts brackets and no quotes,
and puts its condition in by JavaScript's String.replace, which reads `$$`, `$&`, `` $` `` and `$'`
as commands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from tokentide_dashboards.check.macros import arguments, expand_macros
from tokentide_dashboards.check.time_range import TimeRange

__all__ = ["ALL", "Values", "VariableError", "expand", "interpolate"]

Values = Mapping[str, str | Sequence[str]]
"""What is chosen, by variable: one text, or several values of a variable that takes several."""
ALL = ("$__all",)
"""The value of a variable that takes several, while all of them are chosen."""

CONDITIONAL = "$__conditionalAll("
VARIABLE = re.compile(
    r"\$(?P<bare>\w+)"
    r"|\[\[(?P<square>\w+?)(?::(?P<square_format>\w+))?\]\]"
    r"|\$\{(?P<name>\w+)(?:\.(?P<path>[^:^}]+))?(?::(?P<format>[^}]+))?\}"
)
COMMAND = re.compile(r"\$([$&`'])")


class VariableError(ValueError):
    """A variable in a place where its value cannot stand."""


def expand(sql: str, span: TimeRange, values: Values) -> str:
    """Return the statement that ClickHouse gets, for these values of the variables.

    Raises:
        VariableError: All values would be written out, or a format is not known here.
        MacroError: The backend would refuse a macro.
    """
    return expand_macros(interpolate(sql, span, values), span)


def interpolate(sql: str, span: TimeRange, values: Values) -> str:
    """Return the query as the browser sends it to Grafana, whose plugin expands the macros.

    Raises:
        VariableError: All values would be written out, or a format is not known here.
    """
    return _put_in(_conditions(sql, values), span, values)


def _conditions(sql: str, values: Values) -> str:
    """Replace each `$__conditionalAll(condition, $name)`, the last first."""
    at = sql.rfind(CONDITIONAL)
    while at != -1:
        closed = arguments(sql, at + len(CONDITIONAL) - 1)
        if closed is None or len(closed[0]) != 2:
            return sql
        condition, variable = closed[0]
        named = re.search(r"(?<=\$\{)\w+(?=\})|(?<=\$)\w+", variable.strip())
        chosen = values.get(named[0]) if named else None
        if chosen is not None and _as_javascript_text(chosen) in ("", "$__all"):
            condition = "1=1"
        whole = f"{CONDITIONAL}{closed[0][0]},{variable})"
        before, _, after = sql.partition(whole)
        sql = before + _commands(condition, whole, before, after) + after
        at = sql.rfind(CONDITIONAL)
    return sql


def _commands(phrase: str, whole: str, before: str, after: str) -> str:
    """Read a replacement as JavaScript does."""
    meanings = {"$": "$", "&": whole, "`": before, "'": after}
    return COMMAND.sub(lambda found: meanings[found[1]], phrase)


def _as_javascript_text(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _put_in(sql: str, span: TimeRange, values: Values) -> str:
    """Replace variables, and the range where Grafana has it as one."""
    range_s = span.end_s - span.start_s
    known: dict[str, str | Sequence[str]] = {
        "__interval": span.interval_text,
        "__interval_ms": str(span.interval_ms),
        "__from": str(span.start_ms),
        "__to": str(span.end_ms),
        "__range": f"{range_s}s",
        "__range_s": str(range_s),
        "__range_ms": str(span.end_ms - span.start_ms),
        **values,
    }

    def replaced(found: re.Match[str]) -> str:
        name = found["bare"] or found["square"] or found["name"]
        if name not in known:
            return found[0]
        form = found["format"] or found["square_format"]
        if tuple(known[name]) == ALL:
            raise VariableError(
                f"{found[0]} would write out all values of {name}: put it into $__conditionalAll"
            )
        return _formatted(known[name], form, found[0])

    return VARIABLE.sub(replaced, sql)


def _formatted(value: str | Sequence[str], form: str | None, text: str) -> str:
    several = [value] if isinstance(value, str) else list(value)
    match form:
        case None:
            return value if isinstance(value, str) else "'" + "','".join(value) + "'"
        case "raw":
            return _as_javascript_text(value)
        case "csv":
            return ",".join(several)
        case "json":
            return value if isinstance(value, str) else _json(several)
        case "singlequote":
            return ",".join("'" + one.replace("'", "\\'") + "'" for one in several)
        case "sqlstring":
            return ",".join(
                "'" + one.replace("'", "''").replace('"', '\\"') + "'" for one in several
            )
        case _:
            raise VariableError(f"{text} has a format that is not known here: use json or raw")


def _json(values: Sequence[str]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
