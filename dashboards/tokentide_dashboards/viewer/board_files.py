"""The committed boards: what a browser may see of them, and the queries it may name.

SQL never leaves the server and never comes from outside: a browser names a query by its board and
its place there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tokentide_dashboards.kit.variable import typed_in
from tokentide_dashboards.viewer.refused import Refused

__all__ = ["BOARDS_DIR", "LEAST", "BoardFiles"]

BOARDS_DIR: Final = Path(__file__).resolve().parent.parent / "json"
LEAST: Final = "1s"
"""Least distance of points where a panel names none."""
FIRST: Final = "tokentide-overview"
_SQL_KEYS: Final = frozenset({"rawSql", "query", "definition"})

_Object = dict[str, Any]


class BoardFiles:
    """All boards of a directory.

    Args:
        directory: Holds a JSON file for each board.
        texts: What text boxes hold when a board is opened, by their names.
    """

    def __init__(
        self, directory: Path = BOARDS_DIR, texts: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        found = [
            typed_in(json.loads(path.read_text("utf-8")), texts)
            for path in sorted(directory.glob("*.json"))
        ]
        found.sort(key=lambda board: (board["uid"] != FIRST, board["title"]))
        self._boards: Mapping[str, _Object] = {board["uid"]: board for board in found}

    def listed(self) -> list[dict[str, str]]:
        """Return uid, title and description of each board, the overview first."""
        return [
            {name: board.get(name, "") for name in ("uid", "title", "description")}
            for board in self._boards.values()
        ]

    def shown(self, uid: str) -> _Object:
        """Return a board without its SQL.

        Raises:
            Refused: There is no such board.
        """
        without: _Object = _without_sql(self._board(uid))
        return without

    def panel_query(self, uid: str, panel_id: int, ref_id: str) -> tuple[str, str]:
        """Return the SQL of a query, and the least distance of its points (`1m`).

        Raises:
            Refused: The boards have no such query.
        """
        for panel in _panels(self._board(uid)):
            if panel.get("id") == panel_id:
                for target in panel.get("targets", []):
                    if target.get("refId") == ref_id:
                        return target["rawSql"], panel.get("interval", LEAST)
        raise Refused(f"board {uid} has no query {ref_id!r} on a panel {panel_id}", 404)

    def variable_query(self, uid: str, name: str) -> str:
        """Return the SQL that gives the choices of a variable.

        Raises:
            Refused: The boards have no such query.
        """
        for variable in self._board(uid)["templating"]["list"]:
            if variable["name"] == name and variable["type"] == "query":
                query = variable["query"]
                sql: str = query if isinstance(query, str) else query["rawSql"]
                return sql
        raise Refused(f"board {uid} has no variable {name!r} with a query", 404)

    def layer_query(self, uid: str, name: str) -> str:
        """Return the SQL of a layer of events.

        Raises:
            Refused: The boards have no such query.
        """
        for layer in self._board(uid).get("annotations", {}).get("list", []):
            if layer["name"] == name and "rawSql" in layer.get("target", {}):
                sql: str = layer["target"]["rawSql"]
                return sql
        raise Refused(f"board {uid} has no layer {name!r} with a query", 404)

    def variable_names(self, uid: str) -> frozenset[str]:
        """Return the names of the variables of a board.

        Raises:
            Refused: There is no such board.
        """
        return frozenset(one["name"] for one in self._board(uid)["templating"]["list"])

    def _board(self, uid: str) -> _Object:
        if uid not in self._boards:
            raise Refused(f"there is no board {uid!r}: see the list of boards at /", 404)
        return self._boards[uid]


def _panels(board: _Object) -> Iterator[_Object]:
    for panel in board.get("panels", []):
        yield panel
        yield from panel.get("panels", [])


def _without_sql(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_sql(inner)
            for name, inner in value.items()
            if not (name in _SQL_KEYS and _holds_sql(value))
        }
    if isinstance(value, list):
        return [_without_sql(inner) for inner in value]
    return value


def _holds_sql(value: _Object) -> bool:
    return "rawSql" in value or value.get("type") == "query"
