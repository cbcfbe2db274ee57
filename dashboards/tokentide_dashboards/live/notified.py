"""Who is notified when our rules fire: each rule is led through Grafana's policies.

A rule has a receiver where every route of its alerts ends at a contact point with an address, and
none where no route does. Where that depends on labels that only an alert has, or on an unknown
kind of contact point, the state is `unknown`. Delivery is not checked, only where alerts go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tokentide_dashboards.live.finding import Finding, not_known, some
from tokentide_dashboards.live.policies import TooManyRoutesError, routes
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.counted import counted
from tokentide_jobs.io.grafana.api import Grafana, GrafanaRefused, GrafanaUnreachable, list_of

__all__ = ["notification"]

_CHECK: Final = "notification"
_NOWHERE: Final = ("grafana://noop", "nobody@localhost", "<example@email.com>", "none")
"""Addresses that lead nowhere: ours, and the one that Grafana begins with."""
_ADDRESSES: Final[Mapping[str, tuple[str, ...]]] = {
    "webhook": ("url",),
    "slack": ("url", "token"),
    "email": ("addresses",),
    "pagerduty": ("integrationKey",),
    "opsgenie": ("apiKey",),
    "teams": ("url",),
    "discord": ("url",),
    "googlechat": ("url",),
    "oncall": ("url",),
    "telegram": ("bottoken",),
}
"""Kinds of contact points, and the settings of which one is the address."""
_REMEDY: Final = (
    "set ALERT_PAGE_TO and ALERT_TICKET_TO, and the address of that contact point, in Grafana's "
    "environment (docs/dashboards.md)"
)
_TRY: Final = "send a test message from Grafana's page of contact points"


def notification(grafana: Grafana, ours: Sequence[Rule]) -> Finding:
    """Report where alerts of our rules go, and which have no receiver."""
    try:
        tree = grafana.get("/v1/provisioning/policies")
        points = list_of(grafana, "/v1/provisioning/contact-points")
    except (GrafanaRefused, GrafanaUnreachable) as exc:
        return not_known(_CHECK, exc)
    rules = [rule for rule in ours if not rule.is_paused]
    try:
        led = {rule.uid: routes(tree, rule) for rule in rules}
    except TooManyRoutesError:
        words = "policies depend on too many labels that only an alert has: not all were followed"
        return Finding(_CHECK, "unknown", words, _TRY)
    known = {str(point.get("name")) for point in points}
    named = {name for every in led.values() for names in every for name in names or {"(none)"}}
    if other := named - known:
        words = f"Grafana does not show the contact point {some(sorted(other))} that policies name"
        return Finding(_CHECK, "unknown", words)
    where = ", ".join(
        f"{severity}s go to {_named(led[rule.uid] for rule in rules if rule.severity == severity)}"
        for severity in sorted({rule.severity for rule in rules})
    )
    reached = {uid: _reaches_a_receiver(every, points) for uid, every in led.items()}
    if silent := tuple(uid for uid, is_reached in reached.items() if is_reached is False):
        count = counted(len(silent), "rule has", "rules have")
        words = f"{count} no receiver, of {len(rules)}: {where}"
        return Finding(_CHECK, "problem", words, _REMEDY, silent)
    if unsure := tuple(uid for uid, is_reached in reached.items() if is_reached is None):
        count = counted(len(unsure), "rule has", "rules have")
        words = f"it is not known whether {count} a receiver, of {len(rules)}: {where}"
        return Finding(_CHECK, "unknown", words, _TRY, unsure)
    return Finding(_CHECK, "ok", where)


def _reaches_a_receiver(
    every: Iterable[Iterable[str]], points: Sequence[Mapping[str, Any]]
) -> bool | None:
    """Return whether a rule has a receiver; None where that depends on what is not known."""
    verdicts = {
        _best(_has_address(point) for point in points if str(point.get("name")) in names)
        for names in map(set, every)
    }
    return verdicts.pop() if len(verdicts) == 1 else None


def _best(verdicts: Iterable[bool | None]) -> bool | None:
    """Return True where one is, else None where one is not known."""
    found = set(verdicts)
    return True if True in found else None if None in found else False


def _has_address(point: Mapping[str, Any]) -> bool | None:
    """Return whether a contact point has an address; None where its kind is not known."""
    if (names := _ADDRESSES.get(str(point.get("type")))) is None:
        return None
    settings = point.get("settings")
    given = [settings.get(name) for name in names] if isinstance(settings, dict) else []
    return any(bool(one) and one not in _NOWHERE for one in given)


def _named(every: Iterable[Iterable[Iterable[str]]]) -> str:
    return " and ".join(sorted({name for led in every for names in led for name in names}))
