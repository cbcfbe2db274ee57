"""A storm: when too much opens at once, one alert stands for all the rest."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Final

from tokentide_jobs.core.alert.alert import NEVER_OPENED, Alert
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.finding import SEVERITIES, Evidence, Finding
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.counted import counted

__all__ = ["STORM", "Storm"]

_NAMED: Final = 5


class Storm:
    """Counts announced openings, and keeps the one alert that stands for too many.

    Args:
        opens: Time and identity of each within the last `storm_us`.
    """

    def __init__(self, opens: Iterable[tuple[int, str]] = ()) -> None:
        self._opens = deque(sorted(opens))
        self._times = Counter(identity for _, identity in self._opens)

    def count(self, identity: str, at_us: int, rules: AlertRules) -> int:
        """Count an opening, and return how many alerts opened within `storm_us`.

        One that got worse meanwhile is one: all thresholds of a budget are no storm.
        """
        self._drop(at_us, rules)
        self._opens.append((at_us, identity))
        self._times[identity] += 1
        return len(self._times)

    def alert(self, alerts: dict[str, Alert], now_us: int, rules: AlertRules) -> Alert:
        """Return the alert of the storm, with everything that has opened among its members."""
        if STORM not in alerts:
            alerts[STORM] = Alert(_finding(now_us, {}, rules), now_us)
        storm = alerts[STORM]
        newest = [self._opens[-1][1]]
        if not storm.is_live:
            storm.severity, storm.recorded, storm.is_dismissed = "info", NEVER_OPENED, False
            storm.members.clear()
            newest = [identity for _, identity in self._opens]
        for member in newest:
            if member in alerts:
                alert = alerts[member]
                about = f"{alert.finding.metric} of {alert.finding.key}"
                storm.members.setdefault(member, about)
                storm.severity = max(storm.severity, alert.severity, key=SEVERITIES.index)
        if storm.rank > storm.recorded:
            storm.finding = _finding(now_us, storm.members, rules)
        return storm

    def over(self, alerts: dict[str, Alert], now_us: int, rules: AlertRules) -> Alert | None:
        """Return the alert of a storm that has ended: it is calm, and no member is open."""
        self._drop(now_us, rules)
        storm = alerts.get(STORM)
        if storm is None or not storm.is_live or self._opens:
            return None
        is_busy = any(name in alerts and alerts[name].is_live for name in storm.members)
        return None if is_busy else storm

    def holds(
        self, alert: Alert, alerts: Mapping[str, Alert], now_us: int, rules: AlertRules
    ) -> bool:
        """Tell whether an alert is held by a storm that stands for it, or did until now."""
        storm = alerts.get(STORM)
        if storm is None or not alert.held.startswith("storm "):
            return False
        return storm.is_live or now_us - storm.changed_us < rules.incident_us

    def _drop(self, now_us: int, rules: AlertRules) -> None:
        while self._opens and self._opens[0][0] <= now_us - rules.storm_us:
            _, identity = self._opens.popleft()
            self._times[identity] -= 1
            if not self._times[identity]:
                del self._times[identity]


def _finding(at_us: int, members: dict[str, str], rules: AlertRules) -> Finding:
    names = list(members.values())
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    minutes = counted(rules.storm_us // MINUTE_US, "minute")
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
