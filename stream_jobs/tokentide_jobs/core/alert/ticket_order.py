"""Stored alerts in the order in which a person should read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tokentide_jobs.core.alert.finding import SEVERITIES
from tokentide_jobs.core.alert.tickets import rank_tickets

__all__ = ["in_order"]

_WINDOWS: Final = 1_440
"""Minutes of a day; a test of ten seconds counts as six tests of a minute."""


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return alerts, open ones and the urgent first; tickets by their evidence.

    Each gets `is_kept`: false for a ticket of the detectors below the cut of its day.
    """
    found = [{**row, "is_kept": True} for row in rows]
    tickets = [
        row
        for row in found
        if row["kind"] == "anomaly" and row["severity"] != "page" and row["evidence"] is not None
    ]
    if tickets:
        evidence = [float(row["evidence"]) for row in tickets]
        tests = max(int(row["tests"]) for row in tickets)
        for ranked in rank_tickets(evidence, _WINDOWS, tests):
            tickets[ranked.place]["is_kept"] = ranked.is_kept

    def order(row: Mapping[str, Any]) -> tuple[bool, int, bool, float, int]:
        urgency = SEVERITIES.index(row["severity"])
        strength = float(row["evidence"] or 0.0)
        return row["state"] == "closed", -urgency, not row["is_kept"], -strength, -row["changed_us"]

    return sorted(found, key=order)
