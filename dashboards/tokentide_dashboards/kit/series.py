"""Panels over time: lines and bars, heat maps, and states.

Their queries give `time` first, ordered by it, then labels as texts, then numbers. Numbers of one
row without labels are series under the names of their columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.panel import Panel
from tokentide_dashboards.kit.query import TIME_SERIES
from tokentide_dashboards.kit.unit import Unit

__all__ = ["Heatmap", "Lines", "States"]

N = "n"
"""The column beside a ratio: out of how many."""
LONGEST_STEP_MS = 86_400_000
"""Grafana breaks a line where points are further apart. It takes one number for all ranges, and the
longest step of a chart is a day."""
HAS_N = re.compile(rf"\bAS {N}\b")


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Numbers over time: `SELECT {BUCKET} AS time, provider, sum(errors) AS errors …`.

    A column `n`, out of how many a ratio is, gets no line and stands in the tooltip.

    Attributes:
        by: The label columns that name a series, in this order; empty: columns name them.
        style: Lines, bars, or points.
        is_stacked: Series add up.
        fill: Opacity below the line, of 100.
        interval: The least distance of two points.
        legend: `bottom`, `right` (a table with last and greatest value), or `none`.
        soft_most: The axis reaches at least to here.
        log: A logarithmic axis.
        is_joined: Lines join points that are far apart: a row is an event, not a step of time.
            Other lines break in the local view wherever a step is missing, in Grafana where only
            other series of the panel have that step, or where more than a day is missing.
    """

    kind: ClassVar[str] = "timeseries"
    output: ClassVar[int] = TIME_SERIES

    by: tuple[str, ...] = ()
    style: Literal["line", "bars", "points"] = "line"
    is_stacked: bool = False
    fill: int = 10
    interval: str = "1m"
    legend: Literal["bottom", "right", "none"] = "bottom"
    soft_most: float | None = None
    log: bool = False
    is_joined: bool = False

    def options(self) -> Object:
        """Return legend and tooltip."""
        is_table = self.legend == "right"
        return {
            "legend": {
                "showLegend": self.legend != "none",
                "displayMode": "table" if is_table else "list",
                "placement": "right" if is_table else "bottom",
                "calcs": ["lastNotNull", "max"] if is_table else [],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }

    def custom(self) -> Object:
        """Return how a series is drawn."""
        optional: Object = {} if self.soft_most is None else {"axisSoftMax": self.soft_most}
        return {
            "drawStyle": self.style,
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 80 if self.style == "bars" else self.fill,
            "gradientMode": "none",
            "showPoints": "auto",
            "pointSize": 4,
            "spanNulls": self.is_joined,
            "insertNulls": False if self.is_joined else LONGEST_STEP_MS,
            "stacking": {"mode": "normal" if self.is_stacked else "none", "group": "A"},
            "axisPlacement": "auto",
            "scaleDistribution": {"type": "log", "log": 10} if self.log else {"type": "linear"},
            "thresholdsStyle": {"mode": "dashed" if self.threshold else "off"},
            **optional,
        }

    def color(self) -> Object:
        """Return one colour a series."""
        return {"mode": "palette-classic"}

    def more(self) -> Object:
        """Return the least distance of points."""
        return {"interval": self.interval}

    def _named(self, more: str = "") -> str:
        return " · ".join(f"${{__field.labels.{name}}}" for name in self.by) + more

    def more_defaults(self) -> Object:
        """Return names of series made of labels alone."""
        return {"displayName": self._named()} if self.by else {}

    def all_overrides(self) -> tuple[Override, ...]:
        """Return the overrides, and one for `n`."""
        title = self._named(" n") if self.by else "n"
        beside = Override(column=N, title=title, unit=Unit.COUNT, decimals=0, is_beside=True)
        queries = self.sql if isinstance(self.sql, str) else " ".join(self.sql)
        return (*self.overrides, beside) if HAS_N.search(queries) else self.overrides


@dataclass(frozen=True, kw_only=True)
class Heatmap(Panel):
    """How often values of each size occurred: `unit` is that of the sizes.

    The query gives `time` and a column of counts for each size, ascending, named by its upper end:
    `SELECT {BUCKET} AS time, … AS "0.5", … AS "1" … ORDER BY time`.

    Attributes:
        interval: The least distance of two points.
    """

    kind: ClassVar[str] = "heatmap"
    output: ClassVar[int] = TIME_SERIES

    interval: str = "1m"

    def options(self) -> Object:
        """Return axes and colours."""
        return {
            "calculate": False,
            "rowsFrame": {"layout": "le"},
            "color": {
                "mode": "scheme",
                "scheme": "Oranges",
                "fill": "dark-orange",
                "exponent": 0.5,
                "steps": 64,
                "reverse": False,
            },
            "cellGap": 1,
            "cellValues": {"unit": Unit.COUNT},
            "filterValues": {"le": 1e-9},
            "showValue": "never",
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
            "legend": {"show": True},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "yAxis": {"unit": self.unit, "axisPlacement": "left", "reverse": False},
        }

    def custom(self) -> Object:
        """Return the scale of sizes, which is the buckets' own."""
        return {"scaleDistribution": {"type": "linear"}}

    def more(self) -> Object:
        """Return the least distance of points."""
        return {"interval": self.interval}


@dataclass(frozen=True, kw_only=True)
class States(Panel):
    """Which state something was in: `time`, a label or none, and the state as a number or a text.

    Attributes:
        by: The label columns that name a row.
    """

    kind: ClassVar[str] = "state-timeline"
    output: ClassVar[int] = TIME_SERIES

    by: tuple[str, ...] = ()

    def options(self) -> Object:
        """Return how rows are drawn."""
        return {
            "showValue": "auto",
            "rowHeight": 0.9,
            "mergeValues": True,
            "alignValue": "left",
            "legend": {
                "showLegend": False,
                "displayMode": "list",
                "placement": "bottom",
                "calcs": [],
            },
            "tooltip": {"mode": "single", "sort": "none"},
        }

    def custom(self) -> Object:
        """Return how a state is drawn."""
        return {"lineWidth": 0, "fillOpacity": 70}

    def more(self) -> Object:
        """Return how rows are split: the data source makes no series of states that are texts."""
        options = {"fields": [*self.by], "keepFields": False, "naming": {"asLabels": True}}
        split = {"id": "partitionByValues", "options": options}
        return {"transformations": [split]} if self.by else {}

    def more_defaults(self) -> Object:
        """Return names of rows made of labels alone."""
        name = " · ".join(f"${{__field.labels.{one}}}" for one in self.by)
        return {"displayName": name} if self.by else {}
