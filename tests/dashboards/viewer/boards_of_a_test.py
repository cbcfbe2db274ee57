"""A board of every kind of panel, with queries of numbers and with hostile texts in its data."""

from __future__ import annotations

from typing import Any

from tokentide_dashboards.boards.requests import TRACE_LINK, TRACE_PAGE, TRACE_URL

EVIL = "<img src=x onerror=alert(1)>"
SERIES = (
    "SELECT toStartOfInterval($__fromTime + number * 600, toIntervalSecond($__interval_s)) AS time,"
    " concat('p', toString(number % 2)) AS provider, number AS cost, number * 2 AS n"
    " FROM numbers(36) ORDER BY time"
)
WORDS = f"SELECT '{EVIL}' AS name, 'javascript:alert(1)' AS url, 42.5 AS usd, 1 / 3 AS share"
HEAT = (
    "SELECT $__fromTime + number * 600 AS time, number AS `1`, 36 - number AS `2` FROM numbers(36)"
)
STATES = (
    "SELECT $__fromTime + number * 600 AS time, 'a' AS rule,"
    " if(number > 9, 'open', 'ok') AS s FROM numbers(36)"
)
QUERIES = {
    "timeseries": SERIES,
    "heatmap": HEAT,
    "state-timeline": STATES,
    "stat": "SELECT 12.5 AS usd",
    "table": WORDS,
    "bargauge": WORDS,
    "barchart": WORDS,
}
TRACE = (
    f"WITH 'a/b' AS trace_id SELECT {TRACE_PAGE} AS trace_page,"
    " if(trace_page = '', '', 'open') AS open_trace"
)
LINK = {"title": "there", "url": "${__data.fields.url}"}


def panel(number: int, kind: str, sql: str) -> dict[str, Any]:
    return {
        "id": number,
        "type": kind,
        "title": f"{kind} {EVIL}",
        "description": EVIL,
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "targets": [{"refId": "A", "rawSql": sql}],
        "fieldConfig": {
            "defaults": {"unit": "currencyUSD", "noValue": "nothing here", "links": [LINK]},
            "overrides": [],
        },
        "options": {"reduceOptions": {"values": True}, "xField": "name"},
    }


def kinds(uid: str = "test-kinds", *, without_rows: bool = False) -> dict[str, Any]:
    """Return the board, or one whose queries find nothing."""
    return {
        "uid": uid,
        "title": "Kinds",
        "description": EVIL,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "",
        "templating": {
            "list": [
                {
                    "type": "query", "name": "model", "label": "Model", "multi": True,
                    "query": f"SELECT arrayJoin(['a', '{EVIL}'])",
                    "current": {"value": ["$__all"]},
                },
                {
                    "type": "custom", "name": "side", "multi": False,
                    "options": [{"value": "b", "text": "B"}, {"value": "c", "text": "C"}],
                    "current": {"value": "b"},
                },
                {
                    "type": "query", "name": "version", "multi": False, "current": {},
                    "query": "SELECT concat($q$${side:raw}$q$, toString(number)) FROM numbers(2)",
                },
                TRACE_URL.json(),
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Alerts", "enable": True, "iconColor": "red",
                    "target": {"rawSql": f"SELECT $__fromTime AS time, '{EVIL}' AS title"},
                }
            ]
        },
        "panels": [
            panel(number, kind, f"SELECT * FROM ({sql}) WHERE {'0' if without_rows else '1'}")
            for number, (kind, sql) in enumerate(QUERIES.items())
        ]
        + [
            {
                **panel(7, "table", TRACE),
                "fieldConfig": {"defaults": {}, "overrides": [one.json([]) for one in TRACE_LINK]},
            },
            {
                "id": 99, "type": "text", "title": "words",
                "gridPos": {"x": 16, "y": 16, "w": 8, "h": 8},
                "options": {"content": f"# {EVIL}\n[x](javascript:alert(1)) **bold**"},
            }
        ],
    }  # fmt: skip
