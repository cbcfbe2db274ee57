"""`push` saves missing boards, overwrites no change, and reports why it left the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from aiohttp import web

from tests.dashboards.live.grafana_server import (
    RULES_FOLDER,
    TOKEN,
    GrafanaServer,
    StoredBoard,
    answer_of,
    serving,
)
from tokentide_dashboards.boards.overview import OVERVIEW
from tokentide_dashboards.boards.prompts import PROMPTS
from tokentide_dashboards.live.push import Step, apply, plan
from tokentide_jobs.io.grafana.access import GrafanaAccess
from tokentide_jobs.io.grafana.api import GrafanaRefused
from tokentide_jobs.io.grafana.by_grafana_api import GrafanaByApi

FEW = (replace(OVERVIEW, rows=OVERVIEW.rows[:1]), replace(PROMPTS, rows=PROMPTS.rows[:1]))
FIRST, SECOND = (str(one.uid) for one in FEW)


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with serving(GrafanaServer()) as running:
        yield running


def client(server: GrafanaServer) -> GrafanaByApi:
    return GrafanaByApi(GrafanaAccess(server.url, secret=TOKEN))


def planned(server: GrafanaServer, *, overwrite: bool = False) -> tuple[Step, ...]:
    return plan(client(server), FEW, overwrite=overwrite).steps


def push(server: GrafanaServer, *, overwrite: bool = False) -> list[Step]:
    grafana = client(server)
    what = plan(grafana, FEW, overwrite=overwrite)
    return list(apply(grafana, what, "of a test", overwrite=overwrite))


def actions(steps: tuple[Step, ...] | list[Step]) -> list[str]:
    return [step.action for step in steps]


def posts(server: GrafanaServer) -> list[str]:
    return [path for verb, path, _body in server.asked if verb == "POST"]


def test_a_plan_changes_nothing(server: GrafanaServer) -> None:
    assert actions(planned(server)) == ["make", "make", "make"]
    assert posts(server) == []


def test_an_empty_grafana_gets_folder_and_boards(server: GrafanaServer) -> None:
    assert actions(push(server)) == ["make", "make", "make"]
    assert server.folders == {"tokentide": "Tokentide"}
    assert {uid: one.folder_uid for uid, one in server.boards.items()} == {
        FIRST: "tokentide", SECOND: "tokentide",
    }  # fmt: skip
    assert server.boards[FIRST].board["panels"] == FEW[0].json()["panels"]
    sent = next(body for _verb, path, body in server.asked if path == "/dashboards/db")
    assert (sent["message"], sent["overwrite"]) == ("of a test", False)


def test_a_second_push_saves_nothing(server: GrafanaServer) -> None:
    push(server)
    server.asked.clear()
    assert actions(push(server)) == ["keep", "keep", "keep"]
    assert posts(server) == []
    assert actions(push(server, overwrite=True)) == ["keep", "change", "change"]
    assert server.boards[FIRST].version == 2


def test_a_board_that_was_changed_is_named_with_what_changed_and_by_whom(
    server: GrafanaServer,
) -> None:
    push(server)
    stored = server.boards[FIRST]
    stored.board["title"], stored.version, stored.updated_by = "Mine", 5, "alice"
    _folder, step, other = planned(server)
    assert (step.action, step.words) == ("change", "title (version 5, saved by alice)")
    assert other.action == "keep"
    assert actions(push(server)) == ["keep", "change", "keep"]
    assert (server.boards[FIRST].board["title"], server.boards[FIRST].version) == ("Overview", 6)


def test_a_board_elsewhere_is_moved(server: GrafanaServer) -> None:
    push(server)
    server.boards[SECOND].folder_uid = ""
    assert planned(server)[2].words.startswith("moved into our folder")
    push(server)
    assert server.boards[SECOND].folder_uid == "tokentide"


def test_the_folder_of_provisioned_rules_is_taken(server: GrafanaServer) -> None:
    server.folders = {"other": "Other", RULES_FOLDER: "Tokentide"}
    assert actions(push(server)) == ["keep", "make", "make"]
    assert server.boards[FIRST].folder_uid == RULES_FOLDER
    server.folders["tokentide"] = "Renamed"
    assert planned(server)[1].words.startswith("moved into our folder")


def test_who_saves_in_between_is_not_written_over(server: GrafanaServer) -> None:
    grafana = client(server)
    push(server)
    server.boards[FIRST].board["title"] = "Mine"
    what = plan(grafana, FEW)
    server.boards[FIRST] = StoredBoard(
        {**server.boards[FIRST].board, "title": "Theirs"}, 9, "tokentide"
    )
    steps = list(apply(grafana, what, "of a test"))
    assert steps[1].action == "cannot"
    assert steps[1].words.startswith("it was saved by another while this ran")
    assert server.boards[FIRST].board["title"] == "Theirs"
    assert list(apply(grafana, what, "of a test", overwrite=True))[1].action == "change"
    assert server.boards[FIRST].board["title"] == "Overview"


def test_boards_from_files_cannot_be_saved(server: GrafanaServer) -> None:
    push(server)
    for stored in server.boards.values():
        stored.provisioned = True
    assert actions(push(server)) == ["keep", "keep", "keep"]
    server.boards[FIRST].board["title"] = "Older"
    steps = push(server, overwrite=True)
    assert actions(steps) == ["keep", "cannot", "keep"]
    assert steps[1].words == (
        "Grafana has it from a file, and refuses to save it: replace the file (not the same: title)"
    )


def test_a_file_that_comes_in_between_is_named(server: GrafanaServer) -> None:
    grafana = client(server)
    push(server)
    what = plan(grafana, FEW, overwrite=True)
    server.boards[FIRST].provisioned = True
    steps = list(apply(grafana, what, "of a test"))
    assert actions(steps) == ["keep", "cannot", "change"]
    assert "replace the file" in steps[1].words


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (412, {"status": "plugin-dashboard"}, "no (plugin-dashboard): --overwrite saves it"),
        (403, {}, "give the service account the permission"),
        (500, {}, "500, no"),
    ],
)
def test_a_board_that_cannot_be_saved_stops_no_other(
    server: GrafanaServer, status: int, body: dict[str, str], words: str
) -> None:
    async def fault(_request: web.Request) -> web.Response:
        return answer_of(status, "no", **body)

    server.faults["/dashboards/db"] = fault
    steps = push(server)
    assert actions(steps) == ["make", "cannot", "cannot"]
    assert words in steps[1].words
    assert len(posts(server)) == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_grafana_that_takes_no_more_is_not_asked_again(
    server: GrafanaServer, status: int
) -> None:
    async def fault(_request: web.Request) -> web.Response:
        return answer_of(status, "slow down")

    server.faults["/dashboards/db"] = fault
    steps = push(server)
    assert actions(steps) == ["make", "cannot", "cannot"]
    assert steps[2].words == "not tried, for the same reason"
    assert posts(server) == ["/folders", "/dashboards/db"]


def test_without_a_folder_no_board_is_saved(server: GrafanaServer) -> None:
    async def fault(request: web.Request) -> web.Response:
        return answer_of(403, "no") if request.method == "POST" else web.json_response([])

    server.faults["/folders"] = fault
    assert actions(push(server)) == ["cannot", "cannot", "cannot"]
    assert server.boards == {}


def test_who_may_not_look_is_refused_before_anything_changes(server: GrafanaServer) -> None:
    server.denied = ("/dashboards/uid",)
    with pytest.raises(GrafanaRefused, match="403"):
        push(server)
    assert posts(server) == []
