"""What the variables of a board hold when somebody opens it, or picks values in all of them.

A variable that takes several begins with All, one that takes a single value with the first that its
query offers, given those before it: as Grafana does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tokentide_dashboards.check.browser import ALL, Values, expand
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_dashboards.kit.json_value import Object

__all__ = ["Ask", "choose"]

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a statement and returns its rows."""


def choose(board: Object, span: TimeRange, ask: Ask, *values: str) -> Values:
    """Return what each variable holds.

    Args:
        board: Its JSON.
        span: The range of the board.
        ask: Runs the queries of variables.
        values: What somebody picks, in every variable; none: what it opens with.
    """
    picked: dict[str, str | tuple[str, ...]] = {}
    for variable in board["templating"]["list"]:
        if variable.get("multi"):
            picked[variable["name"]] = values or ALL
        elif variable["type"] == "custom" or (variable["type"] == "textbox" and not values):
            picked[variable["name"]] = variable["current"]["value"]
        elif values:
            picked[variable["name"]] = values[0]
        else:
            rows = ask(expand(variable["query"], span, picked))
            picked[variable["name"]] = str(rows[0][0]) if rows else ""
    return picked
