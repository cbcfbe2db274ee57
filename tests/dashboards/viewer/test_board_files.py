"""A browser sees boards without their SQL, and names queries by their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dashboards.viewer.boards_of_a_test import QUERIES, kinds
from tokentide_dashboards.viewer.board_files import BOARDS_DIR, BoardFiles
from tokentide_dashboards.viewer.refused import Refused


@pytest.fixture
def boards(tmp_path: Path) -> BoardFiles:
    (tmp_path / "kinds.json").write_text(json.dumps(kinds()))
    return BoardFiles(tmp_path)


def test_every_committed_board_is_listed_and_the_overview_is_first() -> None:
    listed = BoardFiles().listed()
    assert listed[0]["uid"] == "tokentide-overview"
    assert len(listed) == len(list(BOARDS_DIR.glob("*.json")))


def test_no_sql_is_in_what_a_browser_sees_of_a_board(boards: BoardFiles) -> None:
    assert "SELECT" not in json.dumps(boards.shown("test-kinds"))
    for board in BoardFiles().listed():
        assert "SELECT" not in json.dumps(BoardFiles().shown(board["uid"]))


def test_a_query_is_found_by_its_place(boards: BoardFiles) -> None:
    sql, least = boards.panel_query("test-kinds", 0, "A")
    assert QUERIES["timeseries"] in sql
    assert least == "1s"
    assert "arrayJoin" in boards.variable_query("test-kinds", "model")
    assert "title" in boards.layer_query("test-kinds", "Alerts")


def test_what_stands_in_no_board_is_refused(boards: BoardFiles) -> None:
    with pytest.raises(Refused, match="no board 'other'"):
        boards.shown("other")
    with pytest.raises(Refused, match="no query 'B' on a panel 0"):
        boards.panel_query("test-kinds", 0, "B")
    with pytest.raises(Refused, match="no variable 'x'"):
        boards.variable_query("test-kinds", "x")
    with pytest.raises(Refused, match="no layer 'x'"):
        boards.layer_query("test-kinds", "x")
