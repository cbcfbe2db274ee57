"""Every check of `tokentide doctor` says ok of a Grafana that is well, and names what is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.dashboards.live.grafana_server import (
    NOW_MS,
    RULES_FOLDER,
    TOKEN,
    UID,
    GrafanaServer,
    QueryFailed,
    Row,
    answer_of,
    serving,
)
from tests.each import each
from tests.sampling import share
from tokentide_dashboards.boards.overview import OVERVIEW
from tokentide_dashboards.boards.prompts import PROMPTS
from tokentide_dashboards.kit.board import Board
from tokentide_dashboards.live.examine import examine
from tokentide_dashboards.live.finding import Finding
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_jobs.io.grafana.access import GrafanaAccess
from tokentide_jobs.io.grafana.by_grafana_api import GrafanaByApi

FEW: tuple[Board, ...] = (
    replace(OVERVIEW, rows=OVERVIEW.rows[:2]),
    replace(PROMPTS, rows=PROMPTS.rows[:1]),
)
OF_THESE = ("budget-spent", "run-guard", "slo-burn-page", "slo-burn-ticket")
SOME = tuple(one for one in RULES if one.name in OF_THESE)


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with serving(GrafanaServer.provisioned(FEW, SOME)) as running:
        yield running


def findings(
    server: GrafanaServer,
    is_late: Callable[[], bool] = lambda: False,
    boards: Sequence[Board] = FEW,
) -> dict[str, Finding]:
    grafana = GrafanaByApi(GrafanaAccess(server.url, secret=TOKEN), timeout_s=20)
    return {one.check: one for one in examine(grafana, boards, SOME, NOW_MS, is_late)}


def test_a_grafana_with_our_files_is_well(server: GrafanaServer) -> None:
    found = findings(server)
    assert {one.state for one in found.values()} == {"ok"}, found
    assert found["Grafana"].words == f"{server.url} answers, Grafana 13.2.0"
    assert found["plugin"].words == "grafana-clickhouse-datasource 4.23.5"
    assert found["data source"].words == "tokentide-clickhouse: Data source is working"
    assert found["rules"].words.startswith(f"{len(SOME)} rules")
    assert found["notification"].words == (
        "pages go to tokentide-pagerduty, tickets go to tokentide-slack"
    )
    assert list(found)[-3:] == [
        f"queries of {FEW[0].title}", f"queries of {FEW[1].title}", "queries of rules",
    ]  # fmt: skip
    assert not {
        verb for verb, path, _body in server.asked if verb == "POST" and path != "/ds/query"
    }


def test_every_query_is_sent_as_a_browser_sends_it(server: GrafanaServer) -> None:
    findings(server)
    sent = [
        query
        for _verb, path, body in server.asked
        if path == "/ds/query"
        for query in body["queries"]
    ]
    asked = sum(len(panel.get("targets", ())) for one in FEW for panel in one.json()["panels"])
    more = sum(
        len([one for one in board.json()["templating"]["list"] if one["type"] == "query"])
        + len(board.layers)
        for board in FEW
    )
    of_rules = sum(len(rule.numbers) for rule in SOME)
    assert len(sent) == asked + more + of_rules
    for query in sent:
        assert query["datasource"]["uid"] == UID
        assert query["intervalMs"] >= 60_000
        assert "$__conditionalAll" not in query["rawSql"]
        assert "${" not in query["rawSql"]
    texts = json.dumps(sent)
    assert "$__timeFilter" in texts, "macros are the plugin's to expand"
    assert "$tokentide$first$tokentide$" in texts, "a variable of one value has the first offered"


def test_a_range_ends_when_it_is_asked(server: GrafanaServer) -> None:
    findings(server)
    ranges = {
        (body["from"], body["to"]) for _verb, path, body in server.asked if path == "/ds/query"
    }
    assert (str(NOW_MS - 6 * 3_600_000), str(NOW_MS)) in ranges


def test_no_server_at_the_address(server: GrafanaServer) -> None:
    server.url = "http://127.0.0.1:1"
    (found,) = findings(server).values()
    assert (found.check, found.state, found.is_unreachable) == ("Grafana", "problem", True)
    assert "nothing answers there" in found.words


def test_a_grafana_without_its_database(server: GrafanaServer) -> None:
    server.database = "failing"
    (found,) = findings(server).values()
    assert (found.check, found.state) == ("Grafana", "problem")


def test_a_token_that_is_refused_ends_the_checks(server: GrafanaServer) -> None:
    grafana = GrafanaByApi(GrafanaAccess(server.url, secret="glsa_other"))
    found = list(examine(grafana, FEW, SOME, NOW_MS, lambda: False))
    assert [(one.check, one.state) for one in found] == [("Grafana", "ok"), ("token", "problem")]
    assert "401, Invalid API key" in found[1].words
    assert "glsa_other" not in repr(found)


def test_who_may_not_read_the_organization_is_signed_in(server: GrafanaServer) -> None:
    server.denied = ("/org",)
    assert findings(server)["token"].state == "ok"


@pytest.mark.parametrize(
    ("version", "state", "words"),
    [
        ("4.19.9", "problem", "need 4.20.0 or newer"),
        ("4.20.0-beta.1", "ok", "4.20.0-beta.1"),
        ("10.0", "ok", "10.0"),
        ("", "unknown", "does not say its version"),
        (None, "problem", "is not installed"),
    ],
)
def test_the_plugin_is_there_and_new_enough(
    server: GrafanaServer, version: str | None, state: str, words: str
) -> None:
    server.plugin = version
    found = findings(server)["plugin"]
    assert found.state == state
    assert words in found.words


def test_a_data_source_that_is_not_there(server: GrafanaServer) -> None:
    server.sources = {}
    found = findings(server)
    assert (found["data source"].state, found["queries"].state) == ("problem", "unknown")
    assert "none with the uid tokentide-clickhouse" in found["data source"].words
    assert not [path for _verb, path, _body in server.asked if path == "/ds/query"]


def test_a_data_source_of_another_kind(server: GrafanaServer) -> None:
    server.sources = {UID: "vertamedia-clickhouse-datasource"}
    assert "'vertamedia-clickhouse-datasource'" in findings(server)["data source"].words


def test_a_data_source_that_does_not_reach_clickhouse(server: GrafanaServer) -> None:
    server.source_error = "dial tcp: connection refused"
    found = findings(server)
    assert found["data source"].state == "problem"
    assert "does not work: dial tcp: connection refused" in found["data source"].words
    assert found["queries"].state == "unknown"


def test_a_viewer_asks_what_it_may(server: GrafanaServer) -> None:
    server.denied = (f"/datasources/uid/{UID}", "/v1/provisioning", "/prometheus", "/plugins")
    found = findings(server)
    unknown = {name for name, one in found.items() if one.state == "unknown"}
    assert unknown == {"plugin", "data source", "rules", "rule health", "notification"}
    assert "403" in found["rules"].words
    assert found["queries of rules"].state == "ok"


def test_boards_that_are_not_there_or_not_the_same(server: GrafanaServer) -> None:
    uid = str(FEW[0].uid)
    stored = server.boards[uid]
    stored.board["extra"] = {"added": "by Grafana"}
    stored.board["schemaVersion"] = 43
    assert findings(server)["boards"].state == "ok"
    stored.board["panels"] = [dict(panel) for panel in stored.board["panels"]]
    panel = next(panel for panel in stored.board["panels"] if panel.get("targets"))
    panel["targets"] = [{**panel["targets"][0], "rawSql": "SELECT 1"}, *panel["targets"][1:]]
    found = findings(server)["boards"]
    assert found.state == "problem"
    assert f"{FEW[0].title}: panel {panel['title']!r}" in found.words
    stored.board["panels"].append({"id": 999, "title": "Mine"})
    assert "another panel 'Mine'" in findings(server)["boards"].words
    del server.boards[uid]
    assert f"not in Grafana: {FEW[0].title}" in findings(server)["boards"].words


def test_rules_that_are_missing(server: GrafanaServer) -> None:
    server.rules = [rule for rule in server.rules if rule["uid"] != "tokentide-run-guard"]
    found = findings(server)
    assert found["rules"].words == "1 rule is not in Grafana: tokentide-run-guard"
    assert found["rule health"].state == "unknown"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rule: rule.update(isPaused=True), "isPaused"),
        (lambda rule: rule.update(execErrState="Alerting"), "execErrState"),
        (lambda rule: rule["data"][0]["model"].update(rawSql="SELECT 1"), "query Value"),
        (lambda rule: rule["data"][0]["relativeTimeRange"].update({"from": 60}), "range of Value"),
        (lambda rule: rule["data"].insert(0, {"refId": "More", "model": {}}), "query More"),
        (
            lambda rule: rule["data"][-1]["model"]["conditions"][0]["evaluator"].update(params=[9]),
            "threshold",
        ),
    ],
)
def test_rules_that_are_not_as_in_our_files(
    server: GrafanaServer, change: Callable[[Any], None], words: str
) -> None:
    change(server.rule("tokentide-budget-spent"))
    found = findings(server)["rules"]
    assert found.state == "problem"
    assert found.words == f"not as in our files: tokentide-budget-spent ({words})"


def test_rules_in_our_folder_that_are_not_ours_are_named(server: GrafanaServer) -> None:
    rule = RULES[0].provisioned()
    server.add_rule({**rule, "uid": "mine", "title": "Mine"}, "Spend", "of-mine")
    assert findings(server)["other rules"].state == "ok"
    server.add_rule({**rule, "uid": "left", "title": "Left over"}, "Spend", RULES_FOLDER)
    server.add_rule({**rule, "uid": "tokentide-old", "title": "Old"}, "Spend", "of-mine")
    found = findings(server)["other rules"]
    assert found.state == "problem"
    assert found.words.endswith("left (Left over); tokentide-old (Old)")
    for uid in ("left", "tokentide-old"):
        server.rule(uid)["isPaused"] = True
    found = findings(server)["other rules"]
    assert (found.state, found.words.partition(":")[0]) == ("ok", "paused, and not in our files")


@pytest.mark.parametrize(
    ("state", "verdict", "words"),
    [
        ({"health": "error", "lastError": "code: 60\n UNKNOWN_TABLE"}, "problem",
         "1 rule fails: tokentide-run-guard: code: 60 UNKNOWN_TABLE"),
        ({"lastError": "said although healthy"}, "problem", "said although healthy"),
        ({"lastEvaluation": "2026-11-30T09:45:00+01:00"}, "problem", "run-guard (15 min ago)"),
        ({"lastEvaluation": "0001-01-01T00:00:00Z"}, "unknown", "1 rule was not evaluated yet"),
        ({"health": "nodata"}, "ok", "1 found no row"),
    ],
)  # fmt: skip
def test_how_grafana_evaluates_rules(
    server: GrafanaServer, state: dict[str, str], verdict: str, words: str
) -> None:
    server.states["tokentide-run-guard"].update(state)
    found = findings(server)["rule health"]
    assert found.state == verdict
    assert words in found.words


def test_queries_that_fail_are_named_by_their_panels(server: GrafanaServer) -> None:
    panel = next(panel for panel in FEW[0].json()["panels"] if panel.get("targets"))
    asked: list[str] = []

    def answer(sql: str, query: dict[str, Any], _body: dict[str, Any]) -> list[Row]:
        asked.append(sql)
        if query["refId"] == "A" and "panel" not in query and len(asked) == 12:
            raise QueryFailed("code: 60, message: Table x does not exist. (UNKNOWN_TABLE)")
        return []

    server.answer = answer
    found = findings(server)[f"queries of {FEW[0].title}"]
    assert found.state == "problem", panel
    assert found.words.startswith("1 of ")
    assert "panel '" in found.words
    assert "(UNKNOWN_TABLE)" in found.words
    assert found.remedy == "run `tokentide migrate`"


def test_one_query_that_fails_leaves_the_others_answered(server: GrafanaServer) -> None:
    def answer(_sql: str, query: dict[str, Any], _body: dict[str, Any]) -> list[Row]:
        if query["refId"] == "Impact":
            raise QueryFailed("code: 497, message: Not enough privileges " + "x" * 300)
        return [("x",)]

    server.answer = answer
    found = findings(server)["queries of rules"]
    impacts = [rule.uid for rule in SOME if rule.impact]
    details = [detail.partition(": ")[0] for detail in found.details]
    assert details == [f"rule {uid} Impact" for uid in impacts]
    assert len(found.words) < 500
    assert impacts
    assert found.remedy == "run `tokentide migrate --roles`"


def test_a_query_error_without_results_fails_the_check_and_not_the_run(
    server: GrafanaServer,
) -> None:
    async def fault(_request: web.Request) -> web.Response:
        return answer_of(400, "bad request data")

    server.faults["/ds/query"] = fault
    found = findings(server)
    assert found[f"queries of {FEW[0].title}"].state == "unknown"
    assert "400, bad request data" in found[f"queries of {FEW[0].title}"].words


def test_after_a_query_that_is_never_answered_no_other_is_asked(server: GrafanaServer) -> None:
    async def fault(_request: web.Request) -> web.Response:
        return answer_of(503, "the server is overloaded")

    server.faults["/ds/query"] = fault
    found = findings(server)
    queries = [one for name, one in found.items() if name.startswith("queries of")]
    assert [one.state for one in queries] == ["unknown"] * 3
    assert queries[0].is_unreachable
    assert "not asked: Grafana did not answer" in queries[1].words
    assert len([path for _verb, path, _body in server.asked if path == "/ds/query"]) == 1


def test_what_was_not_asked_in_time_is_unknown(server: GrafanaServer) -> None:
    found = findings(server, lambda: len(server.asked) > 20)
    queries = [one for name, one in found.items() if name.startswith("queries of")]
    assert [one.state for one in queries] == ["unknown"] * 3
    assert queries[0].words == "not all asked: the time that --within gives is over"


ANSWERS = (
    ("/org", "token"),
    ("/health", "Grafana"),
    ("/v1/provisioning/alert-rules", "rules"),
    ("/prometheus/grafana/api/v1/rules", "rule health"),
    ("/v1/provisioning/policies", "notification"),
    ("/v1/provisioning/contact-points", "notification"),
    ("/ds/query", f"queries of {FEW[0].title}"),
    (f"/dashboards/uid/{FEW[0].uid}", "boards"),
    (f"/plugins/{'grafana-clickhouse-datasource'}/settings", "plugin"),
    (f"/datasources/uid/{UID}/health", "data source"),
)
"""Paths of Grafana, and the check that reads what it answers there."""
BODIES = ("[]", "{}", "null", "7", '"x"', '{"data": 1, "results": []}')


@each(
    ("path", "check", "body"),
    share([(path, check, body) for path, check in ANSWERS for body in BODIES], of=5),
)
def test_json_of_another_shape_is_never_ok(
    server: GrafanaServer, path: str, check: str, body: str
) -> None:
    async def fault(_request: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    server.faults = {path: fault}
    assert findings(server)[check].state != "ok"
