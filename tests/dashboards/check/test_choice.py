"""What a variable holds when a board is opened: one rule for tests, benchmark and doctor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.live.grafana_server import NOW_MS, TOKEN, GrafanaServer, serving
from tokentide_dashboards.check.choice import choose
from tokentide_dashboards.live.board_queries import board_outcomes, range_of
from tokentide_jobs.io.grafana.access import GrafanaAccess
from tokentide_jobs.io.grafana.by_grafana_api import GrafanaByApi

BOARD = {
    "uid": "u",
    "time": {"from": "now-1h"},
    "annotations": {"list": []},
    "templating": {
        "list": [
            {"name": "kinds", "type": "custom", "multi": True, "current": {"value": "one"}},
            {"name": "kind", "type": "custom", "multi": False, "current": {"value": "two"}},
            {"name": "team", "type": "query", "multi": False, "query": "SELECT '$kind'"},
        ]
    },
    "panels": [
        {
            "title": "P",
            "targets": [
                {
                    "refId": "A",
                    "datasource": {"uid": "tokentide-clickhouse"},
                    "rawSql": "SELECT '$kind', '$team', $__conditionalAll(k = 1, $kinds)",
                }
            ],
        }
    ],
}


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with serving(GrafanaServer.provisioned((), ())) as running:
        yield running


def test_doctor_asks_with_what_a_board_opens_with(server: GrafanaServer) -> None:
    asked: list[str] = []

    def rows(sql: str) -> list[tuple[str]]:
        asked.append(sql)
        return [("first",)]

    picked = choose(BOARD, range_of(BOARD, NOW_MS), rows)
    assert picked == {"kinds": ("$__all",), "kind": "two", "team": "first"}
    assert asked == ["SELECT 'two'"]
    grafana = GrafanaByApi(GrafanaAccess(server.url, secret=TOKEN))
    assert [one.error for one in board_outcomes(grafana, BOARD, NOW_MS)] == ["", ""]
    sent = [body["queries"][0]["rawSql"] for _verb, _path, body in server.asked]
    assert sent == ["SELECT 'two'", "SELECT 'two', 'first', 1=1"]
