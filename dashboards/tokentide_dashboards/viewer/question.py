"""What a browser asks: a range, a width in points and values of variables, each within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide_dashboards.check.browser import ALL
from tokentide_dashboards.viewer.refused import Refused

__all__ = ["Question", "read_question"]

_LONGEST_MS: Final = 400 * 86_400_000
_LATEST_MS: Final = 4_102_444_800_000
"""The year 2100: ClickHouse's DateTime reaches little further."""
_MOST_POINTS: Final = 2_000
_MOST_VALUES: Final = 200
_LONGEST_VALUE: Final = 500
_ENDS_QUOTE: Final = re.compile(r"\$(?:\w*\$|tokentide|__)")
"""What ends the quote of a value: another quote, or a macro, which is expanded inside it, too."""

Value = str | tuple[str, ...]
"""Of a variable: one text, or the chosen ones of several."""


@dataclass(frozen=True, slots=True)
class Question:
    """Range, points and variables of one query.

    Attributes:
        from_ms: Begin of the range, in milliseconds since 1970.
        to_ms: End of the range.
        points: How many points a chart has room for.
        variables: Value of each variable of the board.
    """

    from_ms: int
    to_ms: int
    points: int
    variables: Mapping[str, Value]


def read_question(asked: Mapping[str, Any], names: frozenset[str]) -> Question:
    """Read what a browser sent.

    Args:
        asked: The body of its request.
        names: The variables of the board.

    Raises:
        Refused: A field is missing, of a wrong type, or out of bounds; the message names it.
    """
    from_ms, to_ms = _whole(asked, "from_ms", 0, _LATEST_MS), _whole(asked, "to_ms", 0, _LATEST_MS)
    if not from_ms < to_ms <= from_ms + _LONGEST_MS:
        raise Refused("the range must begin before it ends, and be at most 400 days long")
    given = asked.get("variables", {})
    if not isinstance(given, dict):
        raise Refused("variables must be an object of names and values")
    for name in given.keys() - names:
        raise Refused(f"the board has no variable {name[:100]!r}")
    return Question(
        from_ms,
        to_ms,
        _whole(asked, "points", 1, _MOST_POINTS),
        {name: _value(name, value) for name, value in given.items()},
    )


def _whole(asked: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = asked.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Refused(f"{name} must be a whole number from {least} to {most}")
    return value


def _value(name: str, value: Any) -> Value:
    values = value if isinstance(value, list) else [value]
    if len(values) > _MOST_VALUES:
        raise Refused(f"variable {name}: at most {_MOST_VALUES} values, or All")
    for one in values:
        if not isinstance(one, str) or len(one) > _LONGEST_VALUE:
            raise Refused(f"variable {name}: a value is a text of {_LONGEST_VALUE} characters")
        if one != ALL[0] and _ENDS_QUOTE.search(one):
            raise Refused(f"variable {name}: a value may not hold $…$, $tokentide or $__")
    return tuple(values) if isinstance(value, list) else values[0]
