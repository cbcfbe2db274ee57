"""Variables of boards: choices over what is stored, or over a fixed list, and free text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.query import DATASOURCE

__all__ = ["SCOPE", "SCOPE_NAMES", "Choice", "TextBox", "Variable", "dimension", "typed_in"]

ALL: Object = {"text": ["All"], "value": ["$__all"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice over the answer of a query.

    Attributes:
        name: What queries and links call it.
        label: What a reader reads.
        description: What is chosen by it.
        sql: One column of values, or the value and then its label.
        multi: Several values, and All, may be chosen: filter by `any_of`; else by `chosen`.
    """

    name: str
    label: str
    description: str
    sql: str
    multi: bool = True

    def json(self) -> Object:
        """Return the variable of a board."""
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "datasource": DATASOURCE,
            "query": self.sql,
            "refresh": 2,
            "sort": 0,
            "regex": "",
            "multi": self.multi,
            "includeAll": self.multi,
            "current": ALL if self.multi else {"text": "", "value": ""},
            "options": [],
            "hide": 0,
            "skipUrlSync": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A choice of one value out of a fixed list.

    Attributes:
        name: What queries and links call it.
        label: What a reader reads.
        description: What is chosen by it.
        options: Values and what a reader reads, without commas and colons; the first is chosen.
    """

    name: str
    label: str
    description: str
    options: Mapping[str, str]

    def json(self) -> Object:
        """Return the variable of a board."""
        options = [
            {"text": text, "value": value, "selected": number == 0}
            for number, (value, text) in enumerate(self.options.items())
        ]
        return {
            "type": "custom",
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "query": ", ".join(f"{text} : {value}" for value, text in self.options.items()),
            "multi": False,
            "includeAll": False,
            "current": {"text": options[0]["text"], "value": options[0]["value"]},
            "options": options,
            "hide": 0,
            "skipUrlSync": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBox:
    """A text that a reader types; empty until then.

    Attributes:
        name: What queries call it: read it by `chosen`, as any text.
        label: What a reader reads.
        description: What is to be typed.
    """

    name: str
    label: str
    description: str

    def json(self) -> Object:
        """Return the variable of a board."""
        nothing: Object = {"text": "", "value": ""}
        return {
            "type": "textbox",
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "query": "",
            "current": nothing,
            "options": [{**nothing, "selected": True}],
            "hide": 0,
            "skipUrlSync": False,
        }


def typed_in(board: Object, texts: Mapping[str, str]) -> Object:
    """Return a board whose text boxes hold these texts when it is opened, by their names."""

    def filled(variable: Object) -> Object:
        if variable["type"] != "textbox" or variable["name"] not in texts:
            return variable
        text = texts[variable["name"]]
        held: Object = {"text": text, "value": text}
        return {
            **variable,
            "query": text,
            "current": held,
            "options": [{**held, "selected": True}],
        }

    variables = [filled(variable) for variable in board["templating"]["list"]]
    return {**board, "templating": {"list": variables}}


def dimension(name: str, label: str, description: str) -> Variable:
    """Return a choice over a dimension of the windows, those with most requests first."""
    return Variable(
        name=name,
        label=label,
        description=description,
        sql=(
            f"SELECT {name} FROM windows_1h WHERE window_start >= toStartOfHour($__fromTime)"
            f" AND window_start <= $__toTime AND {name} != ''"
            f" GROUP BY {name} ORDER BY sum(requests) DESC, {name} LIMIT 500"
        ),
    )


SCOPE = (
    dimension("environment", "Environment", "Where the services run"),
    dimension("tenant", "Tenant", "Whose calls"),
    dimension("team", "Team", "Who pays"),
    dimension("service", "Service", "Which service calls"),
    dimension("provider", "Provider", "Who answers"),
    dimension("model", "Model", "Which model answers"),
)
"""The variables that every board of calls has, under names of columns of the windows."""
SCOPE_NAMES = tuple(one.name for one in SCOPE)
"""`where(*SCOPE_NAMES)` filters windows by all of them; links carry them from board to board."""
