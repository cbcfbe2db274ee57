"""Links of panels and rows: to another board with range and variables kept, or to a page.

A link of a board keeps every variable of the board that it stands on, but for those it sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tokentide_dashboards.kit.json_value import Object

__all__ = ["BoardLink", "Link", "PageLink", "column", "label", "whole"]


def column(name: str) -> str:
    """Return what a link puts in for the value of a column in the row that was clicked."""
    return f"${{__data.fields.{name}:percentencode}}"


def label(name: str) -> str:
    """Return what a link puts in for a label of the series that was clicked."""
    return f"${{__field.labels.{name}:percentencode}}"


def whole(name: str) -> str:
    """Return the address of a link that is the value of a column, as it is."""
    return f"${{__data.fields.{name}:raw}}"


@dataclass(frozen=True, slots=True)
class BoardLink:
    """A link to another board.

    Attributes:
        title: What the reader finds there: "Requests of this model".
        board: The uid of the board.
        sets: Variables of that board and what they become: `{"model": column("model")}`.
    """

    title: str
    board: str
    sets: Mapping[str, str] = field(default_factory=dict)

    def json(self, variables: Sequence[str]) -> Object:
        """Return the link as it stands on a board with these variables."""
        kept = [f"${{{name}:queryparam}}" for name in variables if name not in self.sets]
        sets = [f"var-{name}={value}" for name, value in self.sets.items()]
        query = "&".join(["${__url_time_range}", *kept, *sets])
        return {"title": self.title, "url": f"/d/{self.board}?{query}", "targetBlank": False}


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link to a page elsewhere: `url` may hold `column(…)`, or be `whole(…)`."""

    title: str
    url: str

    def json(self, _variables: Sequence[str]) -> Object:
        """Return the link, which opens beside the board."""
        return {"title": self.title, "url": self.url, "targetBlank": True}


Link = BoardLink | PageLink
