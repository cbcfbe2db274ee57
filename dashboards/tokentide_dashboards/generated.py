"""The generated files as they must be: Grafana provisions them, a test compares them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.rules.files import provisioned_files
from tokentide_dashboards.rules.runbook import pages

__all__ = ["HERE", "files"]

HERE = Path(__file__).resolve().parent


_RUNBOOKS = Path("../../docs/runbooks")
"""Pages for people, of a checkout."""


def files() -> Mapping[Path, str]:
    """Return the text of every generated file, by its path from the package."""
    boards = {
        Path("json", f"{board.uid.partition('-')[2]}.json"): (
            json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"
        )
        for board in BOARDS
    }
    runbooks = {_RUNBOOKS / name: text for name, text in pages().items()}
    return {**boards, **provisioned_files(), **runbooks}
