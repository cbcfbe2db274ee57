"""One column that is not as the rest of its panel: name, unit, colour, limits, width, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.link import Link
from tokentide_dashboards.kit.threshold import Color, Threshold
from tokentide_dashboards.kit.unit import Unit

__all__ = ["Override", "last_week"]

NOWHERE: Object = {"viz": True, "legend": True, "tooltip": True}
DASHED: Object = {"fill": "dash", "dash": [8, 8]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One column of a panel, where it is not as the others.

    Attributes:
        column: Its name in the query.
        title: Its name on the panel.
        unit: Its unit.
        decimals: Digits after the point.
        threshold: Where it becomes worth a look.
        color: One fixed colour.
        colors: The colour of each text that it may hold.
        width: Pixels of its column in a table.
        links: Where a click on it leads.
        cell: How a table draws it.
        is_dashed: A thin dashed line, as what was has.
        is_hidden: Not shown; links may use it.
        is_beside: Only in legend and tooltip, without a line: as `n` beside a ratio.
        right_axis: On an axis of its own.
    """

    column: str
    title: str | None = None
    unit: Unit | None = None
    decimals: int | None = None
    threshold: Threshold | None = None
    color: Color | None = None
    colors: Mapping[str, Color] | None = None
    width: int | None = None
    links: tuple[Link, ...] = ()
    cell: Literal["color-text", "color-background", "gauge"] | None = None
    is_dashed: bool = False
    is_hidden: bool = False
    is_beside: bool = False
    right_axis: bool = False

    def json(self, variables: Sequence[str]) -> Object:
        """Return the override of a panel on a board with these variables."""
        properties: list[tuple[str, object]] = [
            ("displayName", self.title),
            ("unit", self.unit),
            ("decimals", self.decimals),
            ("thresholds", self.threshold and self.threshold.json()),
            ("color", self.color and {"mode": "fixed", "fixedColor": self.color}),
            ("mappings", self.colors and _of_texts(self.colors)),
            ("custom.width", self.width),
            ("links", [link.json(variables) for link in self.links] or None),
            ("custom.cellOptions", self.cell and {"type": self.cell}),
        ]
        if self.is_dashed:
            properties += [
                ("custom.lineStyle", DASHED),
                ("custom.lineWidth", 1),
                ("custom.fillOpacity", 0),
            ]
        if self.is_hidden:
            properties.append(("custom.hideFrom", NOWHERE))
        if self.is_beside:
            properties += [
                ("custom.lineWidth", 0),
                ("custom.fillOpacity", 0),
                ("custom.showPoints", "never"),
                ("custom.axisPlacement", "hidden"),
            ]
        if self.right_axis:
            properties.append(("custom.axisPlacement", "right"))
        return {
            "matcher": {"id": "byName", "options": self.column},
            "properties": [
                {"id": name, "value": value} for name, value in properties if value is not None
            ],
        }


def _of_texts(colors: Mapping[str, Color]) -> list[Object]:
    options = {
        text: {"color": color, "index": place} for place, (text, color) in enumerate(colors.items())
    }
    return [{"type": "value", "options": options}]


def last_week(column: str, title: str = "last week") -> Override:
    """Draw a column as what it was a week before: dashed and grey."""
    return Override(column=column, title=title, is_dashed=True, color="text")
