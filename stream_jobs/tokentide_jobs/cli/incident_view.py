"""How declared faults are shown with the alerts about them, and what was announced besides.

What is shown was read from the tables of alerts; nothing is computed but differences of times.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.screen import count, dollars, shown
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.counted import counted
from tokentide_jobs.replay.incidents import INCIDENTS, Incident

__all__ = ["alerts_of", "incidents_view"]

_AFTER_US: Final = 10 * MINUTE_US
"""An alert so soon after the end of a fault is still about it."""


def incidents_view(openings: Sequence[Mapping[str, Any]], end_us: int) -> Table:
    """Return every fault with what was announced of it, and what else was announced.

    Args:
        openings: Alerts as they opened, by time.
        end_us: When the hour ended.
    """
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, justify="right", style="dim")
    table.add_column(overflow="fold")
    known: set[str] = set()
    for incident in INCIDENTS:
        begin_us = end_us - round(incident.begin_s * 1e6)
        at = time.strftime("%H:%M", time.gmtime(begin_us / 1e6))
        table.add_row(f"{at} UTC", Text(f"injected: {incident.title}", "bold"))
        found = alerts_of(incident, openings, end_us)
        known |= {one["alert_id"] for one in found}
        if not found:
            table.add_row("", Text("not found", "red"))
        else:
            first, *more = found
            table.add_row(f"+{(first['at_us'] - begin_us) / 1e6:,.0f} s", shown(first["sentence"]))
            rest = f"; {counted(len(more), 'alert')} more of it" if more else ""
            table.add_row("", Text(f"{_costs(first)}{rest}", "yellow"))
        table.add_row()
    others = [one for one in openings if not one["held"] and one["alert_id"] not in known]
    held = sum(bool(one["held"]) for one in openings)
    table.add_row(
        "besides",
        f"{counted(len(others), 'other alert')} announced; {count(held)} absorbed by those above",
    )
    for one in others:
        table.add_row("", shown(one["sentence"]))
    return table


def alerts_of(
    incident: Incident, openings: Sequence[Mapping[str, Any]], end_us: int
) -> list[Mapping[str, Any]]:
    """Return what was announced of a fault, the first first."""
    begin_us = end_us - round(incident.begin_s * 1e6)
    until_us = end_us - round(incident.end_s * 1e6) + _AFTER_US
    return [
        one
        for one in openings
        if not one["held"]
        and begin_us <= one["at_us"] < until_us
        and incident.concerns(one["dimensions"])
    ]


def _costs(one: Mapping[str, Any]) -> str:
    """Say how urgent an alert is, and what it is about costs."""
    parts = [f"a {one['severity']}" if one["severity"] != "info" else "information"]
    if hourly := int(Decimal(one["impact_usd_per_hour"]) * 10**12):
        parts.append(f"{dollars(hourly)} an hour more")
    if one["impact_failed_per_minute"]:
        parts.append(f"{one['impact_failed_per_minute']:.1f} failed requests a minute")
    return "; ".join(parts)
