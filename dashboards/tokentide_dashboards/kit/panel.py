"""What every panel has: title, description, query, unit, and words for when there is nothing.

The kinds of panels are in `kit/series.py` (over time) and `kit/table.py` (what stands now).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.link import Link
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import DATASOURCE, TABLE, target
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.unit import Unit

__all__ = ["Panel", "Place", "Text"]

GRAFANA_VERSION = "13.2.0"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel is: its number on the board, and its place in the grid of 24 columns."""

    id: int
    x: int
    y: int
    width: int
    height: int

    def json(self) -> Object:
        """Return number and place."""
        return {
            "id": self.id,
            "gridPos": {"h": self.height, "w": self.width, "x": self.x, "y": self.y},
        }


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel that shows what a query answers; use one of its kinds.

    Attributes:
        title: What it shows, unique on its board.
        description: What the number means and what to do about it.
        sql: Its query, or several; the kind says which columns it takes.
        unit: Of all numbers that no override names.
        no_value: What it says where there is nothing: why, and what to do.
        threshold: Where a number becomes worth a look.
        decimals: Digits after the point; Grafana chooses where it is left out.
        overrides: Columns that differ.
        links: Where a click leads, for all columns.
        width: Columns of the grid, of 24; left out: an equal share of its row.
        least: Lower end of axis or gauge.
        most: Upper end.
    """

    kind: ClassVar[str]
    output: ClassVar[int] = TABLE

    title: str
    description: str
    sql: str | tuple[str, ...]
    unit: Unit
    no_value: str
    threshold: Threshold | None = None
    decimals: int | None = None
    overrides: tuple[Override, ...] = ()
    links: tuple[Link, ...] = ()
    width: int | None = None
    least: float | None = None
    most: float | None = None

    def options(self) -> Object:
        """Return the options of the kind."""
        raise NotImplementedError

    def custom(self) -> Object:
        """Return what the kind has for each field."""
        return {}

    def without_limit(self) -> Threshold:
        """Return the colours of a number that has no limit."""
        return Threshold()

    def color(self) -> Object:
        """Return how numbers get their colour."""
        return {"mode": "thresholds"}

    def more(self) -> Object:
        """Return keys of the panel that only this kind has."""
        return {}

    def more_defaults(self) -> Object:
        """Return keys of every field that only this kind has."""
        return {}

    def all_overrides(self) -> tuple[Override, ...]:
        """Return the overrides, and those that the kind adds."""
        return self.overrides

    def json(self, place: Place, variables: Sequence[str]) -> Object:
        """Return the panel at its place on a board with these variables."""
        queries = (self.sql,) if isinstance(self.sql, str) else self.sql
        optional = {"decimals": self.decimals, "min": self.least, "max": self.most}
        defaults: Object = {
            "unit": self.unit,
            "noValue": self.no_value,
            "color": self.color(),
            "mappings": [],
            "thresholds": (self.threshold or self.without_limit()).json(),
            "links": [link.json(variables) for link in self.links],
            "custom": self.custom(),
            **{name: value for name, value in optional.items() if value is not None},
            **self.more_defaults(),
        }
        return {
            **place.json(),
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "pluginVersion": GRAFANA_VERSION,
            "targets": [
                target(sql, self.output, chr(ord("A") + number))
                for number, sql in enumerate(queries)
            ],
            "fieldConfig": {
                "defaults": defaults,
                "overrides": [one.json(variables) for one in self.all_overrides()],
            },
            "options": self.options(),
            **self.more(),
        }


@dataclass(frozen=True, kw_only=True)
class Text:
    """Words on a board, in Markdown: for what no number says."""

    title: str
    description: str
    markdown: str
    width: int | None = None

    def json(self, place: Place, _variables: Sequence[str]) -> Object:
        """Return the panel at its place."""
        return {
            **place.json(),
            "type": "text",
            "title": self.title,
            "description": self.description,
            "pluginVersion": GRAFANA_VERSION,
            "fieldConfig": {"defaults": {}, "overrides": []},
            "options": {"mode": "markdown", "content": self.markdown},
        }
