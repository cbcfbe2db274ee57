"""What ends `tokentide doctor` early, and what it says of what it found until then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.dashboards.live.grafana_server import GrafanaServer, QueryFailed, Row, answer_of, serving
from tests.dashboards.live.test_doctor_checks import FEW, SOME, findings


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with serving(GrafanaServer.provisioned(FEW, SOME)) as running:
        yield running


def broken(_sql: str, _query: dict[str, Any], _body: dict[str, Any]) -> list[Row]:
    raise QueryFailed("code: 60, message: Table x does not exist. (UNKNOWN_TABLE)")


def asked_queries(server: GrafanaServer) -> int:
    return len([path for _verb, path, _body in server.asked if path == "/ds/query"])


def test_a_query_that_failed_before_the_time_was_over_is_a_problem(server: GrafanaServer) -> None:
    server.answer = broken
    found = findings(server, lambda: asked_queries(server) >= 2)[f"queries of {FEW[0].title}"]
    assert (found.state, found.remedy) == ("problem", "run `tokentide migrate`")
    assert found.words.startswith("2 of 2 queries failed: variable ")
    assert found.words.endswith("(not all asked: the time that --within gives is over)")


def test_a_query_that_failed_before_grafana_went_away_is_a_problem(server: GrafanaServer) -> None:
    def answer(sql: str, query: dict[str, Any], body: dict[str, Any]) -> list[Row]:
        async def gone(_request: web.Request) -> web.Response:
            return answer_of(503, "the server is overloaded")

        server.faults["/ds/query"] = gone
        return broken(sql, query, body)

    server.answer = answer
    found = findings(server)[f"queries of {FEW[0].title}"]
    assert (found.state, found.is_unreachable) == ("problem", True)
    assert found.words.startswith("1 of 1 query failed: variable ")
    assert "(not all asked: POST /api/ds/query" in found.words


def test_time_that_is_over_after_the_last_query_takes_nothing_back(server: GrafanaServer) -> None:
    findings(server)
    every = asked_queries(server)
    server.asked.clear()
    found = findings(server, lambda: asked_queries(server) >= every)
    assert {one.state for one in found.values()} == {"ok"}, found


@pytest.mark.parametrize("status", [408, 500])
def test_an_answer_that_concerns_one_request_ends_nothing_else(
    server: GrafanaServer, status: int
) -> None:
    async def once(_request: web.Request) -> web.Response:
        del server.faults["/ds/query"]
        return answer_of(status, "said")

    server.faults["/ds/query"] = once
    found = findings(server)
    first = found[f"queries of {FEW[0].title}"]
    assert (first.state, first.is_unreachable) == ("problem", False)
    assert first.words.startswith("1 of ")
    assert f"{status}, said" in first.words
    assert found[f"queries of {FEW[1].title}"].state == "ok"
    assert found["queries of rules"].state == "ok"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_answer_that_ends_everything_is_unreachable(server: GrafanaServer, status: int) -> None:
    async def fault(_request: web.Request) -> web.Response:
        return answer_of(status, "said")

    server.faults["/ds/query"] = fault
    assert findings(server)[f"queries of {FEW[0].title}"].is_unreachable
    assert asked_queries(server) == 1
