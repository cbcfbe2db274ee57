"""Rows of panels fill Grafana's grid, and a panel is found by its title."""

from __future__ import annotations

import pytest

from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.panel import Text


def text(title: str, width: int | None = None) -> Text:
    return Text(title=title, description="words", markdown="words", width=width)


def board(*rows: Row) -> Board:
    return Board(uid="tokentide-test", title="Test", description="A test", rows=rows)


def test_panels_without_a_width_share_what_the_others_leave() -> None:
    row = Row((text("a", 4), text("b"), text("c"), text("d")))
    assert row.widths() == [4, 7, 7, 6]


def test_panels_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="a, b are wider than 24 columns"):
        board(Row((text("a", 20), text("b", 5)))).json()


def test_rows_stand_below_each_other_and_numbers_count_from_one() -> None:
    made = board(Row((text("a"), text("b")), height=3), Row((text("c"),), title="Later"))
    places = [(panel["id"], panel["gridPos"]) for panel in made.json()["panels"]]
    assert places == [
        (1, {"h": 3, "w": 12, "x": 0, "y": 0}),
        (2, {"h": 3, "w": 12, "x": 12, "y": 0}),
        (3, {"h": 1, "w": 24, "x": 0, "y": 3}),
        (4, {"h": 8, "w": 24, "x": 0, "y": 4}),
    ]
    assert made.panel_id("c") == 4


def test_a_panel_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(KeyError, match="no panel 'z': it has a, b"):
        board(Row((text("a"), text("b")))).panel_id("z")
