"""The whole state of a book as bytes, and back: the restored one goes on alike.

The first byte is the version of the format. Bytes of another version give no book; then alerts
that are stored as open are found anew, or closed by hand.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from tokentide_jobs.core.alert.alert import Action, Alert
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.cause import Cause
from tokentide_jobs.core.alert.finding import Dimensions, Evidence, Finding, Impact

__all__ = ["from_bytes", "to_bytes"]

_VERSION: Final = b"\x01"


def to_bytes(book: AlertBook) -> bytes:
    """Return the state; the same state gives the same bytes."""
    state = {
        "now_us": book.now_us,
        "refused": book.refused,
        "opens": list(book.storm.opens),
        "waiting": [asdict(action) for action in book.waiting],
        "alerts": [[identity, asdict(alert)] for identity, alert in book.alerts.items()],
    }
    return _VERSION + json.dumps(state, separators=(",", ":")).encode()


def from_bytes(data: bytes, rules: AlertRules) -> AlertBook | None:
    """Return the book whose state this is, under `rules`; None for another version."""
    if data[:1] != _VERSION:
        return None
    state = json.loads(data[1:])
    book = AlertBook(rules)
    book.now_us, book.refused = state["now_us"], state["refused"]
    book.storm.opens.extend((at_us, identity) for at_us, identity in state["opens"])
    book.waiting = [Action(**action) for action in state["waiting"]]
    for identity, values in state["alerts"]:
        values["finding"] = _finding(values["finding"])
        values["recorded"] = tuple(values["recorded"])
        book.alerts[identity] = Alert(**values)
    book.index()
    return book


def _finding(values: dict[str, Any]) -> Finding:
    values["dimensions"] = _dimensions(values["dimensions"])
    values["carriers"] = tuple(_dimensions(one) for one in values["carriers"])
    values["contributors"] = tuple(values["contributors"])
    values["evidence"], values["impact"] = (
        Evidence(**values["evidence"]),
        Impact(**values["impact"]),
    )
    values["causes"] = tuple(
        Cause(**{**one, "shared": tuple(one["shared"])}) for one in values["causes"]
    )
    return Finding(**values)


def _dimensions(pairs: list[list[str]]) -> Dimensions:
    return tuple((name, value) for name, value in pairs)
