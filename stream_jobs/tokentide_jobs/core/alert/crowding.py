"""Which alerts make room when too many are held: the least urgent first.

Budgets, SLOs and the pipeline are as many as are configured: they need no room and make none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.finding import SEVERITIES, Kind, Severity

__all__ = ["UNBOUNDED", "least_urgent"]

UNBOUNDED: Final[tuple[Kind, ...]] = ("anomaly", "run")
"""Kinds of which there may be as many as traffic has keys and runs."""
_SHARE: Final = 20
"""One in this many makes room at once, so that they are sorted for seldom."""


def least_urgent(alerts: Mapping[str, Alert], severity: Severity) -> list[str]:
    """Return the alerts that make room for one of this severity: at most a twentieth.

    First those that have closed, then the less severe, then those of the same severity that were
    never reported; the oldest of each first.

    Args:
        alerts: By identity.
        severity: Of whatever comes.
    """
    comes = True, SEVERITIES.index(severity), True
    urgency = {
        identity: (alert.state != "closed", SEVERITIES.index(alert.severity), alert.is_reported)
        for identity, alert in alerts.items()
        if alert.finding.kind in UNBOUNDED
    }
    less = [identity for identity, found in urgency.items() if found < comes]
    less.sort(key=lambda one: (urgency[one], alerts[one].changed_us, one))
    return less[: max(1, len(alerts) // _SHARE)]
