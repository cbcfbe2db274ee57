"""Why an opening is not announced by itself: history, a silence, or another alert stands for it.

A leader is no less urgent than what it stands for: what is worse than its leader is announced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.finding import SEVERITIES
from tokentide_jobs.core.alert.related_alerts import RelatedAlerts
from tokentide_jobs.core.alert.silence import Silence

__all__ = ["leader_of", "reason_outside"]


def reason_outside(alert: Alert, at_us: int, history_us: int, silences: Iterable[Silence]) -> str:
    """Return what the clock or a silence has against an opening; empty: nothing.

    Args:
        alert: Opens.
        at_us: When.
        history_us: What opens before is history.
        silences: Those in force.
    """
    is_over = 0 < alert.finding.until_us <= at_us
    if alert.finding.is_history or is_over or at_us < history_us:
        return "history"
    fields = {**alert.finding.fields, "severity": alert.severity}
    silence = next((one.id for one in silences if one.covers(fields, at_us)), "")
    return f"silence {silence}" if silence else ""


def leader_of(
    identity: str, alert: Alert, related: RelatedAlerts, at_us: int, reach_us: int
) -> tuple[str, str, Alert] | None:
    """Return the alert that stands for one, as what (`parent`, `incident`) and its identity.

    Args:
        identity: Of the alert.
        alert: Opens.
        related: Which alerts belong together.
        at_us: When it opens.
        reach_us: How long metrics of one key are one incident, and how long a closed leader counts.
    """
    for what, name, other in _leaders(identity, alert, related, at_us, reach_us):
        if SEVERITIES.index(other.severity) >= SEVERITIES.index(alert.severity):
            return what, name, other
    return None


def _leaders(
    identity: str, alert: Alert, related: RelatedAlerts, at_us: int, reach_us: int
) -> Iterator[tuple[str, str, Alert]]:
    """Yield the alerts that may stand for one: parents, and the first metric of its key."""

    def applies(name: str, other: Alert) -> bool:
        was = alert.leader == name and other.state == "closed"
        return other.is_live or (was and at_us - other.changed_us < reach_us)

    for name, other in related.parents(alert):
        if applies(name, other):
            yield "parent", name, other
    for name, other in related.others_of_key(identity, alert):
        is_first = other.held.partition(" ")[0] != "incident"
        is_near = alert.leader == name or abs(at_us - other.changed_us) < reach_us
        if is_first and is_near and applies(name, other):
            yield "incident", name, other
