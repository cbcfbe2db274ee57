"""TOKENTIDE_TRACE_URL stands in the board wherever it is opened, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.live.grafana_server import TOKEN, GrafanaServer, serving
from tokentide_dashboards.boards.every import BOARDS, boards_of, texts_of
from tokentide_dashboards.generated import board_files
from tokentide_dashboards.viewer.board_files import BOARDS_DIR, BoardFiles
from tokentide_jobs.cli.main import main

ADDRESS = "https://tempo.example/t/"
UID = "tokentide-requests"


def held(board: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what the text box holds, in the three places where Grafana looks for it."""
    (box,) = (one for one in board["templating"]["list"] if one["name"] == "trace_url")
    (option,) = box["options"]
    return box["query"], box["current"]["value"], option["value"]


@pytest.fixture
def with_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOKENTIDE_TRACE_URL", ADDRESS)
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path / "none"))


def test_without_the_setting_boards_are_the_committed_ones() -> None:
    assert board_files(boards_of("")) == board_files(BOARDS)
    assert held(BoardFiles(texts=texts_of("")).shown(UID)) == ("", "", "")


def test_the_local_view_opens_the_board_with_it() -> None:
    boards = BoardFiles(texts=texts_of(ADDRESS))
    assert held(boards.shown(UID)) == (ADDRESS, ADDRESS, ADDRESS)


@pytest.mark.usefixtures("with_setting")
def test_files_for_grafana_hold_it_and_are_the_committed_ones_else(tmp_path: Path) -> None:
    folder = tmp_path / "of mine" / "boards"
    assert main(["grafana", "write", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {path.name for path in BOARDS_DIR.iterdir()}
    changed = [
        path.name
        for path in folder.iterdir()
        if path.read_bytes() != (BOARDS_DIR / path.name).read_bytes()
    ]
    assert changed == ["requests.json"]
    assert held(json.loads((folder / "requests.json").read_text())) == (ADDRESS,) * 3


@pytest.mark.usefixtures("with_setting")
def test_a_place_that_cannot_be_written_to_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boards").write_text("a file")
    assert main(["grafana", "write", str(tmp_path / "boards" / "x")]) != 0
    assert str(tmp_path / "boards") in capsys.readouterr().err.replace("\n", "")


@pytest.mark.usefixtures("with_setting")
def test_push_saves_it_and_doctor_expects_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def boards_by_doctor() -> str:
        main(["doctor", "--grafana-only", "--json"])
        checks = {one["check"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
        return str(checks["boards"]["words"])

    with serving(GrafanaServer.provisioned()) as server:
        monkeypatch.setenv("TOKENTIDE_GRAFANA_URL", server.url)
        monkeypatch.setenv("TOKENTIDE_GRAFANA_TOKEN", TOKEN)
        assert boards_by_doctor() == "not as in this version: Request explorer: templating"
        server.boards.clear()
        assert main(["grafana", "push", "--json"]) == 0
        capsys.readouterr()
        assert held(server.boards[UID].board) == (ADDRESS,) * 3
        assert boards_by_doctor() == f"{len(BOARDS)} boards, as in this version"
