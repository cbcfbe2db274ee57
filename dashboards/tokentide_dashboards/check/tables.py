"""What Grafana 13.2 knows, read from its own packages: keys and values of boards, units, reducers.

`check/grafana/tables.mjs` writes the table where Node is; without Node the table is enough.
Grafana's types leave queries and links open: their keys are here.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tokentide_dashboards.kit.json_value import Object

__all__ = ["DATA_LINK", "FIELD", "TARGET", "tables"]

TARGET: Object = {
    "keys": {
        "refId": "string",
        "datasource": {"keys": {"type": "string", "uid": "string"}, "required": ["type", "uid"]},
        "pluginVersion": "string",
        "editorType": {"values": ["sql"]},
        "queryType": {"values": ["timeseries", "table"]},
        "format": {"values": [0, 1]},
        "rawSql": "string",
        "meta": {"keys": {"timezone": "string"}, "required": []},
        "hide": "boolean",
    },
    "required": ["refId", "datasource", "editorType", "queryType", "format", "rawSql"],
}
"""A query of the ClickHouse plugin 4, as its SQL editor writes it."""
DATA_LINK: Object = {
    "keys": {"title": "string", "url": "string", "targetBlank": "boolean"},
    "required": ["title", "url"],
}
FIELD = ("displayName", "unit", "decimals", "min", "max", "noValue", "color", "thresholds")
"""What an override may set beside `custom.…`, `links` and `mappings`."""


@cache
def tables() -> dict[str, Any]:
    """Return the table: version, board, row, panel, options, custom, units, reducers."""
    path = Path(__file__).parent / "grafana" / "tables.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
