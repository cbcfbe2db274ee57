"""The generated files as they must be: Grafana provisions them, a test compares them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.kit.board import Board
from tokentide_dashboards.rules.files import provisioned_files
from tokentide_dashboards.rules.runbook import pages

__all__ = ["HERE", "board_files", "files"]

HERE = Path(__file__).resolve().parent


_RUNBOOKS = Path("../../docs/runbooks")
"""Pages for people, of a checkout."""


def board_files(boards: Sequence[Board] = BOARDS) -> Mapping[str, str]:
    """Return the text of each board's file, by its name."""
    return {
        f"{board.uid.partition('-')[2]}.json": (
            json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"
        )
        for board in boards
    }


def files() -> Mapping[Path, str]:
    """Return the text of every generated file, by its path from the package."""
    boards = {Path("json", name): text for name, text in board_files().items()}
    runbooks = {_RUNBOOKS / name: text for name, text in pages().items()}
    return {**boards, **provisioned_files(), **runbooks}
