"""Boards show what queries cost by account, though the engine knows one user, and no statement."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tokentide_dashboards.boards.pipeline import PIPELINE
from tokentide_dashboards.boards.pipeline_store import QUERIES, QUERY_CPU
from tokentide_dashboards.check.columns import unfit
from tokentide_dashboards.check.macros import expand_macros
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_jobs.embedded.clickhouse.run.kill import RunningQueries

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

COLUMNS = (
    "event_date", "event_time", "account", "kind", "is_failed", "duration_ms", "cpu_us",
    "read_rows", "read_bytes", "memory_bytes",
)  # fmt: skip
MOST_ROWS = 3_000_003
"""Of no other query."""


@pytest.mark.parametrize("account", ["grafana", "a#b", "50 %/ü"])
def test_a_marker_says_who_asks_whatever_the_id_holds(account: str) -> None:
    with RunningQueries().entered("id#7#default", account) as marker:
        begin, _hash, encoded = marker.rpartition("#")
    assert begin == "id#7#default#1"
    assert "#" not in encoded


@pytest.fixture
def grafana(sql_server: str, sql_client: Client) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1", port=urlsplit(sql_server).port or 0, username="grafana",
        database=str(sql_client.database), autogenerate_session_id=False,
    )  # fmt: skip


@pytest.mark.integration
def test_boards_show_who_asked_and_what_it_took(sql_client: Client, grafana: Client) -> None:
    now_ms = int(time.time() * 1_000)
    span = TimeRange(now_ms - 3_600_000, now_ms + 60_000)
    count = f"SELECT count() FROM numbers({MOST_ROWS}) WHERE NOT ignore(number)"
    grafana.raw_query(count, settings={"query_id": "mine#1#default"})
    with pytest.raises(DatabaseError, match="no_such_table"):
        grafana.query("SELECT * FROM no_such_table")
    sql_client.command("SYSTEM FLUSH LOGS")

    found = grafana.query(f"SELECT * FROM query_costs WHERE read_rows = {MOST_ROWS}")
    assert found.column_names == COLUMNS
    (row,) = (dict(zip(COLUMNS, row, strict=True)) for row in found.result_rows)
    assert (row["account"], row["kind"], row["is_failed"]) == ("grafana", "Select", False)
    assert row["cpu_us"] > 0

    panels = {panel["title"]: panel for panel in PIPELINE.json()["panels"]}
    for panel in (QUERIES, QUERY_CPU):
        assert isinstance(panel.sql, str)
        answer = grafana.query(expand_macros(panel.sql, span))
        kinds = dict(
            zip(answer.column_names, (kind.name for kind in answer.column_types), strict=True)
        )
        assert list(unfit(panels[panel.title], kinds)) == []
        rows = [dict(zip(answer.column_names, one, strict=True)) for one in answer.result_rows]
        assert {"grafana", "default"} <= {one["who"] for one in rows}
        if panel is QUERIES:
            (mine,) = (one for one in rows if one["who"] == "grafana")
            assert mine["rows_read"] >= MOST_ROWS
            assert mine["failed"] >= 1


@pytest.mark.integration
def test_who_reads_costs_reads_no_statements(grafana: Client) -> None:
    with pytest.raises(DatabaseError, match="query_log"):
        grafana.query("SELECT query FROM system.query_log")
