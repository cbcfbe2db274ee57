"""Who is told when our rules fire: each rule is led through Grafana's policies to contact points.

Only labels that a rule itself has are known before it fires: a policy that asks for others (tenant,
model) is taken not to match. Nor is it known that a message arrives: it is said where alerts go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tokentide_dashboards.live.finding import Finding, not_known, some
from tokentide_dashboards.rules.files import FOLDER
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.counted import counted
from tokentide_jobs.io.grafana.api import Grafana, GrafanaRefused, GrafanaUnreachable, list_of

__all__ = ["notification"]

_CHECK: Final = "notification"
_NOWHERE: Final = ("grafana://noop", "nobody@localhost", "<example@email.com>", "none")
"""Addresses of contact points that tell nobody: ours, and the one that Grafana begins with."""
_ADDRESSES: Final = ("url", "addresses", "integrationKey")
_REMEDY: Final = (
    "set ALERT_PAGE_TO and ALERT_TICKET_TO, and the address of that contact point, in Grafana's "
    "environment (docs/dashboards.md)"
)
_LONGEST_PATTERN: Final = 500


def notification(grafana: Grafana, ours: Sequence[Rule]) -> Finding:
    """Say to whom alerts of our rules go, and which go to nobody."""
    try:
        tree = grafana.get("/v1/provisioning/policies")
        points = list_of(grafana, "/v1/provisioning/contact-points")
    except (GrafanaRefused, GrafanaUnreachable) as exc:
        return not_known(_CHECK, exc)
    rules = [rule for rule in ours if not rule.is_paused]
    led = {rule.uid: set(_receivers(tree, _labels(rule))) for rule in rules}
    known = {str(point.get("name")) for point in points}
    if other := {name for names in led.values() for name in names or {"(none)"}} - known:
        words = f"Grafana does not show the contact point {some(sorted(other))} that policies name"
        return Finding(_CHECK, "unknown", words)
    loud = {str(point.get("name")) for point in points if _tells_somebody(point)}
    silent = tuple(uid for uid, names in led.items() if not names & loud)
    where = ", ".join(
        f"{severity}s go to {_named(led[rule.uid] for rule in rules if rule.severity == severity)}"
        for severity in sorted({rule.severity for rule in rules})
    )
    if silent:
        count = counted(len(silent), "rule tells", "rules tell")
        words = f"{count} nobody, of {len(rules)}: {where}"
        return Finding(_CHECK, "problem", words, _REMEDY, silent)
    return Finding(_CHECK, "ok", where)


def _labels(rule: Rule) -> dict[str, str]:
    made = rule.provisioned()
    return {**made["labels"], "alertname": str(made["title"]), "grafana_folder": FOLDER}


def _receivers(route: Any, labels: Mapping[str, str], above: str = "") -> Iterator[str]:
    """Yield the contact points of the deepest policies that match."""
    if not isinstance(route, dict):
        return
    own = str(route.get("receiver") or above)
    is_led_on = False
    routes = route.get("routes")
    for inner in routes if isinstance(routes, list) else ():
        if isinstance(inner, dict) and _matches(inner, labels):
            is_led_on = True
            yield from _receivers(inner, labels, own)
            if inner.get("continue") is not True:
                return
    if not is_led_on and own:
        yield own


def _matches(route: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    matchers = route.get("object_matchers") or []
    return isinstance(matchers, list) and all(_holds(one, labels) for one in matchers)


def _holds(matcher: Any, labels: Mapping[str, str]) -> bool:
    if not isinstance(matcher, list) or not all(isinstance(part, str) for part in matcher):
        return False
    if len(matcher) != 3 or matcher[0] not in labels:
        return False
    name, operator, value = matcher
    if operator in ("=~", "!~"):
        try:
            is_same = len(value) <= _LONGEST_PATTERN and bool(re.fullmatch(value, labels[name]))
        except re.error:
            return False  # Grafana's patterns are Go's, and some are none of Python's
        return is_same is (operator == "=~")
    return (labels[name] == value) is (operator == "=")


def _tells_somebody(point: Mapping[str, Any]) -> bool:
    settings = point.get("settings")
    if not isinstance(settings, dict):
        return False
    addresses = [settings[name] for name in _ADDRESSES if settings.get(name)]
    return not addresses or any(one not in _NOWHERE for one in addresses)


def _named(receivers: Iterator[set[str]]) -> str:
    return " and ".join(sorted(set[str]().union(*receivers)))
