"""A storm: when too much opens at once, one alert stands for all the rest."""

from __future__ import annotations

from collections import deque
from typing import Final

from tokentide_jobs.core.alert.alert import NEVER_OPENED, Alert
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.finding import SEVERITIES, Evidence, Finding
from tokentide_jobs.counted import counted

__all__ = ["Storm"]

_NAMED: Final = 5


class Storm:
    """Counts announced openings, and keeps the one alert that stands for too many.

    Attributes:
        opens: Time and identity of each within the last `storm_us`.
    """

    def __init__(self) -> None:
        self.opens: deque[tuple[int, str]] = deque()

    def count(self, identity: str, at_us: int, rules: AlertRules) -> int:
        """Count an opening, and return how many alerts opened within `storm_us`.

        One that got worse meanwhile is one: all thresholds of a budget are no storm.
        """
        self._drop(at_us, rules)
        self.opens.append((at_us, identity))
        return len({opened for _, opened in self.opens})

    def alert(self, alerts: dict[str, Alert], now_us: int, rules: AlertRules) -> Alert:
        """Return the alert of the storm, with everything that has opened among its members."""
        if STORM not in alerts:
            alerts[STORM] = Alert(_finding(now_us, {}, rules), now_us)
        storm = alerts[STORM]
        if not storm.is_live:
            storm.severity, storm.recorded, storm.is_dismissed = "info", NEVER_OPENED, False
            storm.members.clear()
        for _, member in self.opens:
            if member in alerts and member not in storm.members:
                found = alerts[member].finding
                storm.members[member] = f"{found.metric} of {found.key}"
        severities = [alerts[name].severity for name in storm.members if name in alerts]
        storm.severity = max(storm.severity, *severities, key=SEVERITIES.index)
        storm.finding = _finding(now_us, storm.members, rules)
        return storm

    def over(self, alerts: dict[str, Alert], now_us: int, rules: AlertRules) -> Alert | None:
        """Return the alert of a storm that has ended: it is calm, and no member is open."""
        self._drop(now_us, rules)
        storm = alerts.get(STORM)
        if storm is None or not storm.is_live or self.opens:
            return None
        is_busy = any(name in alerts and alerts[name].is_live for name in storm.members)
        return None if is_busy else storm

    def _drop(self, now_us: int, rules: AlertRules) -> None:
        while self.opens and self.opens[0][0] <= now_us - rules.storm_us:
            self.opens.popleft()


def _finding(at_us: int, members: dict[str, str], rules: AlertRules) -> Finding:
    names = list(members.values())
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    minutes = counted(rules.storm_us // 60_000_000, "minute")
    return Finding(
        change="fires",
        kind="storm",
        dimensions=(),
        metric="opens",
        at_us=at_us,
        sentence=f"{counted(len(names), 'alert')} opened, most of them within {minutes}: "
        f"{', '.join(names[:_NAMED])}{more}",
        evidence=Evidence(value=float(len(names)), expected=float(rules.storm_opens)),
    )


STORM: Final = _finding(0, {}, AlertRules()).identity
