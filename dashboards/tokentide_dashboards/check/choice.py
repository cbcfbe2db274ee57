"""What the variables of a board hold when it is opened, or when values are picked in all of them.

A variable that takes several begins with All, one that takes a single value with the first that its
query offers, given those before it: as Grafana does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tokentide_dashboards.check.browser import ALL, Values, expand
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_dashboards.kit.json_value import Object

__all__ = ["Ask", "Chosen", "choose", "held_by"]

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a statement and returns its rows."""
Chosen = dict[str, str | tuple[str, ...]]
"""What is held, by variable."""


def choose(board: Object, span: TimeRange, ask: Ask, *values: str) -> Values:
    """Return what each variable holds.

    Args:
        board: Its JSON.
        span: The range of the board.
        ask: Runs the queries of variables.
        values: The picked values, in every variable; none: what it opens with.
    """
    picked: Chosen = {}

    def first(variable: Object) -> str:
        rows = ask(expand(variable["query"], span, picked))
        return str(rows[0][0]) if rows else ""

    for variable in board["templating"]["list"]:
        picked[variable["name"]] = held_by(variable, first, *values)
    return picked


def held_by(
    variable: Object, first: Callable[[Object], str], *values: str
) -> str | tuple[str, ...]:
    """Return what one variable holds.

    Args:
        variable: Its JSON.
        first: Returns the first value that its query offers.
        values: The picked values; none: what the board opens with.
    """
    if variable.get("multi"):
        return values or ALL
    if variable["type"] == "custom" or (variable["type"] == "textbox" and not values):
        return str(variable["current"]["value"])
    return values[0] if values else first(variable)
