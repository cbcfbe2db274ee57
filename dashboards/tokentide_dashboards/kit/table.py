"""Panels of what stands now: numbers, tables, bars by name. Their queries give plain rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.panel import Panel
from tokentide_dashboards.kit.threshold import Threshold

__all__ = ["BarChart", "Bars", "Stat", "Table"]


@dataclass(frozen=True, kw_only=True)
class Stat(Panel):
    """One number, or the numbers of one row side by side: `SELECT … AS now, … AS last_week`.

    Attributes:
        colored: What takes the colour of the threshold.
        shows_texts: Texts are shown as numbers are.
    """

    kind: ClassVar[str] = "stat"

    colored: Literal["value", "background", "none"] = "value"
    shows_texts: bool = False

    def without_limit(self) -> Threshold:
        """Return no colour: green would mean that a number is good, which no limit states."""
        return Threshold(base="text")

    def options(self) -> Object:
        """Return how numbers are drawn."""
        return {
            "reduceOptions": {
                "values": False,
                "calcs": ["lastNotNull"],
                "fields": "/.*/" if self.shows_texts else "",
            },
            "orientation": "auto",
            "textMode": "auto",
            "colorMode": self.colored,
            "graphMode": "none",
            "justifyMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
        }


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """Rows as the query gives them, in its order: LIMIT them.

    Attributes:
        sort_by: Name of a column as shown, greatest first; left out: the order of the query.
    """

    kind: ClassVar[str] = "table"

    sort_by: str | None = None

    def options(self) -> Object:
        """Return how rows are drawn."""
        sort = [] if self.sort_by is None else [{"displayName": self.sort_by, "desc": True}]
        return {"frameIndex": 0, "showHeader": True, "cellHeight": "sm", "sortBy": sort}

    def custom(self) -> Object:
        """Return how a cell is drawn."""
        return {
            "align": "auto",
            "cellOptions": {"type": "auto"},
            "inspect": False,
            "filterable": False,
        }


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """One bar a row: `SELECT team, usd … ORDER BY usd DESC LIMIT 10`, a text and a number."""

    kind: ClassVar[str] = "bargauge"

    def options(self) -> Object:
        """Return how bars are drawn."""
        return {
            "reduceOptions": {"values": True, "calcs": ["lastNotNull"], "fields": ""},
            "orientation": "horizontal",
            "displayMode": "basic",
            "valueMode": "color",
            "namePlacement": "auto",
            "showUnfilled": True,
            "sizing": "auto",
            "minVizWidth": 8,
            "minVizHeight": 16,
            "maxVizHeight": 40,
            "legend": {
                "showLegend": False,
                "displayMode": "list",
                "placement": "bottom",
                "calcs": [],
            },
        }


@dataclass(frozen=True, kw_only=True)
class BarChart(Panel):
    """Groups of bars: a text, then one number a bar: `SELECT model, input_usd, output_usd …`.

    Attributes:
        x: The column of texts.
        is_stacked: Bars of a group stand on each other.
    """

    kind: ClassVar[str] = "barchart"

    x: str
    is_stacked: bool = False

    def options(self) -> Object:
        """Return how bars are drawn."""
        return {
            "xField": self.x,
            "orientation": "auto",
            "xTickLabelRotation": 0,
            "xTickLabelSpacing": 0,
            "xTickLabelMaxLength": 0,
            "stacking": "normal" if self.is_stacked else "none",
            "showValue": "auto",
            "barWidth": 0.9,
            "groupWidth": 0.7,
            "barRadius": 0,
            "fullHighlight": False,
            "legend": {
                "showLegend": True,
                "displayMode": "list",
                "placement": "bottom",
                "calcs": [],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }

    def custom(self) -> Object:
        """Return how a bar is drawn."""
        return {"lineWidth": 1, "fillOpacity": 80, "gradientMode": "none", "axisPlacement": "auto"}

    def color(self) -> Object:
        """Return one colour a column."""
        return {"mode": "palette-classic"}
