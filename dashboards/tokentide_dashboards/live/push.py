"""Boards brought into a running Grafana: first what would change, then each change by itself.

A board is saved only over the version that was compared: the plan names who saved that. One that
was saved in between is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Literal

from tokentide_dashboards.kit.board import Board
from tokentide_dashboards.live.finding import some
from tokentide_dashboards.live.folder import FOLDER_UID, folder_for_boards
from tokentide_dashboards.live.stored_boards import StoredBoard, stored_board
from tokentide_dashboards.rules.files import FOLDER
from tokentide_jobs.io.grafana.api import Grafana, GrafanaRefused, GrafanaUnreachable

__all__ = ["Plan", "Step", "apply", "plan"]

Action = Literal["make", "change", "keep", "cannot"]
_FROM_FILE: Final = "Grafana has it from a file, and refuses to save it: replace the file"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a folder or board.

    Attributes:
        what: `folder Tokentide`, `board Overview`.
        action: `make`, `change`, `keep` as it is, or `cannot`.
        words: Why.
        board: To be saved; None: a folder.
        version: Of the board that was looked at; 0: there was none.
        is_unreachable: It could not be done, for Grafana does not answer any more.
    """

    what: str
    action: Action
    words: str
    board: Board | None = None
    version: int = 0
    is_unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a push would do.

    Attributes:
        folder_uid: Where boards go.
        steps: The folder first.
    """

    folder_uid: str
    steps: tuple[Step, ...]


def plan(grafana: Grafana, boards: Sequence[Board], *, overwrite: bool = False) -> Plan:
    """Look at what Grafana has, and say what would change.

    Args:
        grafana: Whom to ask.
        boards: Ours.
        overwrite: Save also what is as it should be.

    Raises:
        GrafanaRefused: Grafana does not show its folders or boards.
        GrafanaUnreachable: Grafana does not answer.
    """
    there = folder_for_boards(grafana)
    folder_uid = there or FOLDER_UID
    folder = Step(f"folder {FOLDER}", "keep" if there else "make", f"with the uid {folder_uid}")
    boards_there = ((board, stored_board(grafana, board.json())) for board in boards)
    steps = [_step(board, stored, folder_uid, overwrite) for board, stored in boards_there]
    return Plan(folder_uid, (folder, *steps))


def apply(
    grafana: Grafana, planned: Plan, message: str, *, overwrite: bool = False
) -> Iterator[Step]:
    """Do what was planned, and yield what became of each step.

    A board that cannot be saved stops no other; a Grafana that does not answer does.

    Args:
        grafana: Whom to ask.
        planned: What `plan` returned.
        message: Stands in the history of each board.
        overwrite: Save over what was saved in between, too.
    """
    is_over = False
    for step in planned.steps:
        if step.action not in ("make", "change"):
            yield step
            continue
        if is_over:
            yield replace(step, action="cannot", words="not tried, for the same reason")
            continue
        try:
            if step.board is None:
                grafana.post("/folders", {"uid": planned.folder_uid, "title": FOLDER})
            else:
                grafana.post("/dashboards/db", _body(step, planned.folder_uid, message, overwrite))
        except GrafanaRefused as exc:
            is_over = step.board is None
            yield replace(step, action="cannot", words=_refusal(exc))
        except GrafanaUnreachable as exc:
            is_over = step.board is None or exc.is_away
            yield replace(step, action="cannot", words=str(exc), is_unreachable=exc.is_away)
        else:
            yield step


def _step(board: Board, stored: StoredBoard | None, folder_uid: str, overwrite: bool) -> Step:
    what = f"board {board.title}"
    if stored is None:
        return Step(what, "make", f"with the uid {board.uid}", board)
    other = list(stored.differences)
    if stored.is_from_file:
        if not other:
            return Step(what, "keep", "Grafana has it from a file, as in this version")
        return Step(what, "cannot", f"{_FROM_FILE} (not the same: {some(other)})")
    if stored.folder_uid != folder_uid:
        other.append("moved into our folder")
    if not other and not overwrite:
        return Step(what, "keep", f"as in this version (saved as version {stored.version})")
    by = f", saved by {stored.saved_by}" if stored.saved_by else ""
    words = f"{some(other) or 'nothing differs'} (version {stored.version}{by})"
    return Step(what, "change", words, board, stored.version)


def _body(step: Step, folder_uid: str, message: str, overwrite: bool) -> dict[str, Any]:
    assert step.board is not None, "folders have no body of a board"
    return {
        "dashboard": {**step.board.json(), "version": step.version},
        "folderUid": folder_uid,
        "message": message,
        "overwrite": overwrite,
    }


def _refusal(exc: GrafanaRefused) -> str:
    """State why Grafana does not take a board, and what to do."""
    status = exc.body.get("status") if isinstance(exc.body, dict) else ""
    if exc.status == HTTPStatus.PRECONDITION_FAILED and status == "version-mismatch":
        return (
            "it was saved by another while this ran, and was left alone: push again, or with "
            "--overwrite"
        )
    if exc.status == HTTPStatus.PRECONDITION_FAILED:
        return f"{exc.detail} ({status}): --overwrite saves it all the same"
    if exc.status == HTTPStatus.BAD_REQUEST and "provisioned" in exc.detail.lower():
        return _FROM_FILE
    return str(exc)
