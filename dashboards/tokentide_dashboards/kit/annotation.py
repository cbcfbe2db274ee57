"""Layers of events over every chart: what people changed, and alerts while they were open."""

from __future__ import annotations

from dataclasses import dataclass

from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.query import DATASOURCE, TABLE, target

__all__ = ["ALERTS", "CHANGES", "Layer"]

BUILT_IN: Object = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Events, as a query gives them: `time`, perhaps `timeEnd`, `title`, `text` and `tags`."""

    name: str
    color: str
    sql: str

    def json(self) -> Object:
        """Return the layer of a board."""
        return {
            "name": self.name,
            "datasource": DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": self.color,
            "target": target(self.sql, TABLE),
        }


CHANGES = Layer(
    name="Changes",
    color="blue",
    sql="""\
SELECT
    started_at AS time,
    concat(toString(kind), ' ', subject) AS title,
    trimBoth(concat(from_version, ' → ', to_version, ' ', description)) AS text,
    arrayFilter(x -> x != '', [toString(kind), toString(environment), toString(service)]) AS tags
FROM changes
WHERE $__timeFilter(started_at)
ORDER BY time
LIMIT 200""",
)
ALERTS = Layer(
    name="Alerts",
    color="red",
    sql="""\
SELECT
    since AS time,
    if(state = 'closed', changed_at, $__toTime) AS timeEnd,
    concat(toString(severity), ': ', key) AS title,
    sentence AS text,
    arrayFilter(x -> x != '', [toString(kind), toString(severity), toString(metric)]) AS tags
FROM alerts
WHERE since <= $__toTime AND timeEnd >= $__fromTime AND kind != 'test'
ORDER BY time
LIMIT 200""",
)
