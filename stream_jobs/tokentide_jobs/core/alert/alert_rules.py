"""Every number that the lifecycle of alerts decides by, in one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tokentide_jobs.core.alert.finding import SEVERITIES, Finding, Impact, Kind, Severity
from tokentide_jobs.core.tables import MINUTE_US

__all__ = ["AlertRules"]

_DOLLAR: Final = 10**12


def _pending() -> Mapping[Kind, int]:
    return MappingProxyType({"pipeline": 2 * MINUTE_US, "slo": 2 * MINUTE_US})


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """The rules.

    Attributes:
        page_pico_usd_per_hour: An impact of as much is a page.
        page_failed_per_minute: So are so many failed requests a minute.
        ticket_pico_usd_per_hour: Less, with fewer failed requests than the next, is information.
        ticket_failed_per_minute: Likewise; 0 of both: everything is a ticket at least.
        pending_us: By kind, how long it must last before it opens; what is not here opens at once.
            Detectors have gathered evidence before they report.
        cooldown_us: What fires again so soon after its end is the same alert, opened again.
        flaps: After so many such returns an alert stays open until it was quiet for the cooldown.
        incident_us: Metrics of one key that open within this are one incident.
        storm_opens: More than so many announced within `storm_us` make a storm: one alert for all.
        storm_us: See there.
        history_lag_us: A finding older than this is history: it is recorded, and announced only if
            it is still open when the stream has caught up.
        most_alerts: Alerts that are held at once; of more, the least urgent make room.
    """

    page_pico_usd_per_hour: int = 50 * _DOLLAR
    page_failed_per_minute: float = 10.0
    ticket_pico_usd_per_hour: int = 0
    ticket_failed_per_minute: float = 0.0
    pending_us: Mapping[Kind, int] = field(default_factory=_pending)
    cooldown_us: int = 30 * MINUTE_US
    flaps: int = 2
    incident_us: int = 10 * MINUTE_US
    storm_opens: int = 5
    storm_us: int = 10 * MINUTE_US
    history_lag_us: int = 15 * MINUTE_US
    most_alerts: int = 10_000

    def severity(self, finding: Finding) -> Severity:
        """Return how urgent a finding is: what it says, or by its impact, below its ceiling."""
        found = finding.severity or self._by_impact(finding.impact)
        return min(found, finding.at_most, key=SEVERITIES.index)

    def _by_impact(self, impact: Impact) -> Severity:
        dollars, failed = impact.pico_usd_per_hour, impact.failed_per_minute
        if dollars >= self.page_pico_usd_per_hour or failed >= self.page_failed_per_minute:
            return "page"
        is_ticket = (
            dollars >= self.ticket_pico_usd_per_hour or failed >= self.ticket_failed_per_minute
        )
        return "ticket" if is_ticket else "info"
