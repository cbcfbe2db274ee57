"""Queries as the doctor sends them run on a real ClickHouse, behind a plugin's macro expansion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tests.dashboards.live.grafana_server import (
    NOW_MS,
    TOKEN,
    GrafanaServer,
    QueryFailed,
    Row,
    serving,
)
from tests.sql.cookbook_calls import NOW, seed
from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.check.macros import expand_macros
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_dashboards.live.examine import examine
from tokentide_dashboards.live.finding import Finding
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_jobs.io.grafana.access import GrafanaAccess
from tokentide_jobs.io.grafana.by_grafana_api import GrafanaByApi

pytestmark = pytest.mark.integration


@pytest.fixture
def server(sql_client: Client) -> Iterator[GrafanaServer]:
    def answer(sql: str, query: dict[str, Any], body: dict[str, Any]) -> list[Row]:
        span = TimeRange(int(body["from"]), int(body["to"]), query["intervalMs"])
        try:
            rows = sql_client.query(expand_macros(sql, span)).result_rows
        except ClickHouseError as exc:
            raise QueryFailed(str(exc)) from exc
        return [[str(value) for value in row] for row in rows]

    made = GrafanaServer.provisioned()
    made.answer = answer
    with serving(made) as running:
        yield running


def queries(server: GrafanaServer, now_ms: int) -> list[Finding]:
    grafana = GrafanaByApi(GrafanaAccess(server.url, secret=TOKEN), timeout_s=60)
    found = examine(grafana, BOARDS, RULES, now_ms, lambda: False)
    return [one for one in found if one.check.startswith("queries of")]


def test_every_query_of_boards_and_rules_runs(server: GrafanaServer, sql_client: Client) -> None:
    seed(sql_client)
    now_ms = int(NOW.timestamp() * 1_000)
    found = queries(server, now_ms)
    assert len(found) == len(BOARDS) + 1
    assert [one.words for one in found if one.state != "ok"] == []
    texts = " ".join(
        query["rawSql"]
        for _verb, path, body in server.asked
        if path == "/ds/query"
        for query in body["queries"]
    )
    chosen = set(re.findall(r"prompt_name = \$tokentide\$([^$]+)\$tokentide\$", texts))
    assert chosen, "the first prompt that is offered is chosen"


def test_a_database_that_was_not_migrated_is_named_with_its_remedy(
    server: GrafanaServer, sql_client: Client
) -> None:
    sql_client.command("CREATE DATABASE IF NOT EXISTS not_migrated")
    before = sql_client.database
    sql_client.database = "not_migrated"
    try:
        found = queries(server, NOW_MS)
    finally:
        sql_client.database = before
        sql_client.command("DROP DATABASE not_migrated")
    failed = [one for one in found if one.state == "problem"]
    assert len(failed) == len(found)
    assert all("`tokentide migrate`" in one.remedy for one in failed)
