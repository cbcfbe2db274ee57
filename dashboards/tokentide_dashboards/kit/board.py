"""A board: rows of panels, laid out in Grafana's grid of 24 columns, as classic JSON.

The uid of a board and the titles of its panels are what alerts and links name it by: they stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokentide_dashboards.kit.annotation import ALERTS, BUILT_IN, CHANGES, Layer
from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.panel import Panel, Place, Text
from tokentide_dashboards.kit.variable import SCOPE, Choice, TextBox, Variable, typed_in

__all__ = ["TAG", "Board", "Row"]

COLUMNS = 24
TAG = "tokentide"
"""Every board has it, and links to all that do."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side.

    Attributes:
        panels: From left to right; those that name no width share what the others leave.
        title: A line above the row; empty: none.
        height: In units of the grid, of 30 pixels.
    """

    panels: tuple[Panel | Text, ...]
    title: str = ""
    height: int = 8

    def widths(self) -> list[int]:
        """Return the columns of the grid that each panel takes.

        Raises:
            ValueError: The panels do not fit.
        """
        left = COLUMNS - sum(panel.width or 0 for panel in self.panels)
        sharing = sum(panel.width is None for panel in self.panels)
        if left < sharing:
            titles = ", ".join(panel.title for panel in self.panels)
            raise ValueError(
                f"the panels {titles} are wider than {COLUMNS} columns: make some narrower"
            )
        share, rest = divmod(left, sharing) if sharing else (0, 0)
        widths: list[int] = []
        for panel in self.panels:
            if panel.width is None:
                rest, more = (rest - 1, 1) if rest else (0, 0)
                widths.append(share + more)
            else:
                widths.append(panel.width)
        return widths


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board of Grafana.

    Attributes:
        uid: At most 40 characters, and never changed: links and alerts name it.
        title: Unique among boards.
        description: Which question it answers.
        rows: From top to bottom.
        variables: Above the panels, from left to right.
        layers: Events over the charts.
        since: Where its range begins: `now-6h`.
        refresh: How often it asks again.
        texts: What text boxes hold when it is opened, by their names.
    """

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable | Choice | TextBox, ...] = SCOPE
    layers: tuple[Layer, ...] = field(default=(CHANGES, ALERTS))
    since: str = "now-6h"
    refresh: str = "1m"
    texts: Mapping[str, str] = field(default_factory=dict)

    def places(self) -> list[tuple[Panel | Text | str, Place]]:
        """Return panels, and titles of rows, with their places; numbers count from 1."""
        placed: list[tuple[Panel | Text | str, Place]] = []
        y = 0
        for row in self.rows:
            if row.title:
                placed.append((row.title, Place(len(placed) + 1, 0, y, COLUMNS, 1)))
                y += 1
            x = 0
            for panel, width in zip(row.panels, row.widths(), strict=True):
                placed.append((panel, Place(len(placed) + 1, x, y, width, row.height)))
                x += width
            y += row.height
        return placed

    def panel_id(self, title: str) -> int:
        """Return the number of a panel, by which an alert names it.

        Raises:
            KeyError: The board has no panel of this title.
        """
        numbers = {
            panel.title: place.id for panel, place in self.places() if not isinstance(panel, str)
        }
        if title not in numbers:
            raise KeyError(f"board {self.uid} has no panel {title!r}: it has {', '.join(numbers)}")
        return numbers[title]

    def json(self) -> Object:
        """Return the board as a file that Grafana provisions."""
        names = [variable.name for variable in self.variables]
        board: Object = {
            "id": None,
            "uid": str(self.uid),
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": 42,
            "version": 1,
            "editable": False,
            "timezone": "browser",
            "weekStart": "",
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "time": {"from": self.since, "to": "now"},
            "timepicker": {},
            "refresh": self.refresh,
            "templating": {"list": [variable.json() for variable in self.variables]},
            "annotations": {"list": [BUILT_IN, *(layer.json() for layer in self.layers)]},
            "links": [_board_links()],
            "panels": [
                _row(panel, place) if isinstance(panel, str) else panel.json(place, names)
                for panel, place in self.places()
            ],
        }
        return typed_in(board, self.texts)


def _row(title: str, place: Place) -> Object:
    return {**place.json(), "type": "row", "title": title, "collapsed": False, "panels": []}


def _board_links() -> Object:
    """Link all boards, with range and variables."""
    return {
        "type": "dashboards",
        "title": "Boards",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
