"""Where Grafana's notification policies lead an alert, as far as it is known before it fires.

A label is known, or is one that the alert will have with a value not known yet, or is absent,
which matchers read as an empty text. Where a policy depends on what is not known, both ways are
followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide_dashboards.rules.files import FOLDER
from tokentide_dashboards.rules.rule import Rule

__all__ = ["TooManyRoutesError", "routes"]

_MOST_WAYS: Final = 200
_LONGEST_PATTERN: Final = 500
_FROM_GRAFANA: Final = frozenset({"rulename", "datasource_uid", "ref_id"})
"""Labels that Grafana adds to some alerts; names that begin with __ are its own, too."""
_OLD_MATCHERS: Final = ("matchers", "match", "match_re")


class TooManyRoutesError(ValueError):
    """More routes lead through the policies than are looked at."""


@dataclass(frozen=True, slots=True)
class _Labels:
    """What is known of an alert's labels: their texts, and names whose texts are not known."""

    known: Mapping[str, str]
    open: frozenset[str]

    @classmethod
    def of(cls, rule: Rule) -> _Labels:
        made = rule.provisioned()
        known = {**made["labels"], "alertname": str(made["title"]), "grafana_folder": FOLDER}
        return cls(known, frozenset(rule.labels))

    def text(self, name: str) -> str | None:
        """Return the text that matchers see, None where it is not known."""
        if name in self.known:
            return self.known[name]
        is_open = name in self.open or name in _FROM_GRAFANA or name.startswith("__")
        return None if is_open else ""


def routes(tree: object, rule: Rule) -> frozenset[frozenset[str]]:
    """Return which contact points may receive an alert: one set of names for each way it may go.

    Args:
        tree: The root of the policies, as Grafana's API shows it.
        rule: What fires.

    Raises:
        TooManyRoutesError: Unknown labels leave more routes open than are followed.
    """
    return frozenset(_ways(tree, _Labels.of(rule), ""))


def _ways(route: object, labels: _Labels, above: str) -> set[frozenset[str]]:
    if not isinstance(route, dict):
        return {frozenset()}
    own = frozenset(filter(None, [str(route.get("receiver") or above)]))
    ended: set[frozenset[str]] = set()
    # Ways that go on to the next policy: contact points so far, and whether any policy took them.
    going = {(frozenset[str](), False)}
    routes = route.get("routes")
    for inner in routes if isinstance(routes, list) else ():
        if not isinstance(inner, dict) or (is_match := _matches(inner, labels)) is False:
            continue
        deeper = _ways(inner, labels, next(iter(own), ""))
        taken = {points | more for points, _is_led_on in going for more in deeper}
        kept = going if is_match is None else set()
        if inner.get("continue") is True:
            going = kept | {(points, True) for points in taken}
        else:
            ended |= taken
            going = kept
        if len(ended) + len(going) > _MOST_WAYS:
            raise TooManyRoutesError
    return ended | {points if is_led_on else points | own for points, is_led_on in going}


def _matches(route: Mapping[str, Any], labels: _Labels) -> bool | None:
    """Return whether a policy takes an alert; None where that is not known."""
    matchers = route.get("object_matchers") or []
    if not isinstance(matchers, list):
        return None
    held = [_holds(one, labels) for one in matchers]
    if False in held:
        return False
    is_known = None not in held and not any(route.get(name) for name in _OLD_MATCHERS)
    return True if is_known else None


def _holds(matcher: object, labels: _Labels) -> bool | None:
    if not isinstance(matcher, list) or not all(isinstance(part, str) for part in matcher):
        return None
    if len(matcher) != 3 or (text := labels.text(matcher[0])) is None:
        return None
    _name, operator, value = matcher
    if operator in ("=", "!="):
        return (text == value) is (operator == "=")
    if operator not in ("=~", "!~") or len(value) > _LONGEST_PATTERN:
        return None
    try:
        is_same = bool(re.fullmatch(value, text))
    except re.error:
        return None  # Grafana's patterns are Go's, and some are none of Python's
    return is_same is (operator == "=~")
