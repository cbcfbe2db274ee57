"""Boards as Grafana has them, held against ours.

Ours is there when Grafana's holds all that ours says: it may add keys of its own. Numbers that
Grafana gives (id, version) are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide_dashboards.kit.json_value import Object
from tokentide_jobs.io.grafana.api import Grafana, GrafanaRefused

__all__ = ["StoredBoard", "stored_board"]

_GIVEN: Final = frozenset({"id", "version"})
_AT_LEAST: Final = "schemaVersion"
"""Grafana raises it when it knows a newer one."""


@dataclass(frozen=True, slots=True)
class StoredBoard:
    """A board in Grafana.

    Attributes:
        version: Counts up with every save.
        folder_uid: Where it is; "": in no folder.
        is_from_file: Grafana took it from a file, and refuses to save it.
        saved_by: Who saved it last.
        differences: What is not as in our board; none: all of ours is there.
    """

    version: int
    folder_uid: str
    is_from_file: bool
    saved_by: str
    differences: tuple[str, ...]


def stored_board(grafana: Grafana, ours: Object) -> StoredBoard | None:
    """Return the board with the uid of `ours`; None where Grafana has none.

    Raises:
        GrafanaRefused: Grafana does not show it.
        GrafanaUnreachable: Grafana does not answer.
    """
    try:
        answer = grafana.get(f"/dashboards/uid/{ours['uid']}")
    except GrafanaRefused as exc:
        if exc.status == 404:
            return None
        raise
    board, meta = _object(answer, "dashboard"), _object(answer, "meta")
    version = board.get("version", meta.get("version"))
    return StoredBoard(
        version if isinstance(version, int) else 0,
        str(meta.get("folderUid") or ""),
        meta.get("provisioned") is True,
        str(meta.get("updatedBy") or ""),
        tuple(_differences(ours, board)),
    )


def _object(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _differences(ours: Object, theirs: Mapping[str, Any]) -> Iterator[str]:
    """Name panels and other parts of the board that are not as ours."""
    reached = theirs.get(_AT_LEAST)
    if not isinstance(reached, int) or reached < ours[_AT_LEAST]:
        yield _AT_LEAST
    for name in sorted(ours.keys() - _GIVEN - {"panels", _AT_LEAST}):
        if not _holds(theirs.get(name), ours[name]):
            yield name
    panels = theirs.get("panels")
    there = {
        panel.get("id"): panel
        for panel in (panels if isinstance(panels, list) else [])
        if isinstance(panel, dict)
    }
    for panel in ours["panels"]:
        if not _holds(there.pop(panel["id"], None), panel):
            yield f"panel {panel['title']!r}"
    for panel in there.values():
        yield f"another panel {panel.get('title')!r}"


def _holds(theirs: Any, ours: Any) -> bool:
    """Return whether theirs contains all of ours."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(
            _holds(theirs.get(name), value) for name, value in ours.items()
        )
    if isinstance(ours, list | tuple):
        return (
            isinstance(theirs, list)
            and len(theirs) == len(ours)
            and all(_holds(one, other) for one, other in zip(theirs, ours, strict=True))
        )
    return bool(theirs == ours)
