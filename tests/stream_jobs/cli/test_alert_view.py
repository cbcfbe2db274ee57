"""How alerts stand on a screen: each state is counted for itself."""

from __future__ import annotations

from typing import Any

from tokentide_jobs.cli.alert_view import alert_lines


def one(state: str) -> dict[str, Any]:
    return {
        "alert_id": "a" * 32, "state": state, "severity": "ticket", "opened_us": 1,
        "changed_us": 1, "sentence": "it costs more", "held": "", "silenced_by": "",
        "is_kept": True, "members": [],
    }  # fmt: skip


def test_what_is_pending_is_neither_open_nor_closed() -> None:
    states = ["open", "open", "acknowledged", "pending", "closed"]
    head, *lines = alert_lines([one(state) for state in states], 2)
    assert head.plain == "alerts  2 open, 1 acknowledged, 1 pending, 1 closed"
    assert len(lines) == len(states)
