"""The generated files as they must be: Grafana provisions them, a test compares them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tokentide_dashboards.boards.every import BOARDS

__all__ = ["HERE", "files"]

HERE = Path(__file__).resolve().parent


def files() -> Mapping[Path, str]:
    """Return the text of every generated file, by its path below the package."""
    return {
        Path("json", f"{board.uid.partition('-')[2]}.json"): (
            json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"
        )
        for board in BOARDS
    }
