"""What a book remembers of one alert, as text beside the transition that made it so, and back.

Stored transitions are the state of the book: its successor reads the last one of each alert.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.finding import Dimensions, Evidence, Finding, Impact
from tokentide_jobs.core.change.cause import Cause

__all__ = ["recall", "remember"]


def remember(alert: Alert) -> str:
    """Return an alert as text."""
    return json.dumps(asdict(alert), separators=(",", ":"))


def recall(text: str) -> Alert:
    """Return the alert of a text.

    Raises:
        ValueError: Another version wrote it.
    """
    try:
        values = json.loads(text)
        values["finding"] = _finding(values["finding"])
        values["recorded"] = tuple(values["recorded"])
        return Alert(**values)
    except (KeyError, TypeError) as exc:
        raise ValueError(f"an alert as another version remembers it: {exc}") from exc


def _finding(values: dict[str, Any]) -> Finding:
    values["dimensions"] = _dimensions(values["dimensions"])
    values["carriers"] = tuple(_dimensions(one) for one in values["carriers"])
    values["contributors"] = tuple(values["contributors"])
    values["evidence"] = Evidence(**values["evidence"])
    values["impact"] = Impact(**values["impact"])
    values["causes"] = tuple(
        Cause(**{**one, "shared": tuple(one["shared"])}) for one in values["causes"]
    )
    return Finding(**values)


def _dimensions(pairs: list[list[str]]) -> Dimensions:
    return tuple((name, value) for name, value in pairs)
