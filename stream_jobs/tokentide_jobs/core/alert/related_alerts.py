"""Which alerts belong together: parents with narrower keys, and metrics of one key.

A parent is about part of the dimensions of its child, or about what carried it, with the same
metric and direction. Everything is looked up by identity, whatever number of alerts there is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Final

from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.digest import digest

__all__ = ["RelatedAlerts"]

_IN_INCIDENTS: Final = ("anomaly", "run", "pipeline")
"""Kinds of which several metrics of one key are one incident."""
_MOST_DIMENSIONS: Final = 6
"""Of a key whose parts are looked for."""


class RelatedAlerts:
    """The relations of the alerts of a book, kept up to date by it.

    Args:
        alerts: The book's, by identity.
    """

    def __init__(self, alerts: Mapping[str, Alert]) -> None:
        self._alerts = alerts
        self._children: dict[str, set[str]] = defaultdict(set)
        self._of_key: dict[str, set[str]] = defaultdict(set)
        for identity, alert in alerts.items():
            self.add(identity, alert.finding)

    def add(self, identity: str, finding: Finding) -> None:
        """Know an alert."""
        for parent in _parents(finding):
            self._children[parent].add(identity)
        self._of_key[_key(finding)].add(identity)

    def remove(self, identity: str, finding: Finding) -> None:
        """Forget an alert."""
        for table, names in (
            (self._children, list(_parents(finding))),
            (self._of_key, [_key(finding)]),
        ):
            for name in names:
                table[name].discard(identity)
                if not table[name]:
                    del table[name]

    def parents(self, alert: Alert) -> Iterator[tuple[str, Alert]]:
        """Yield the alerts about wider keys, the widest first."""
        for identity in _parents(alert.finding):
            if identity in self._alerts:
                yield identity, self._alerts[identity]

    def children(self, identity: str) -> list[tuple[str, Alert]]:
        """Return the alerts about narrower keys, in the order in which they began."""
        return self._in_order(self._children.get(identity, ()))

    def others_of_key(self, identity: str, alert: Alert) -> list[tuple[str, Alert]]:
        """Return the alerts about other metrics of its key, in the order in which they began."""
        if alert.finding.kind not in _IN_INCIDENTS:
            return []
        names = self._of_key.get(_key(alert.finding), ())
        return self._in_order(name for name in names if name != identity)

    def _in_order(self, names: Iterable[str]) -> list[tuple[str, Alert]]:
        found = [(name, self._alerts[name]) for name in names if name in self._alerts]
        return sorted(found, key=lambda one: (one[1].began_us, one[0]))


def _parents(finding: Finding) -> Iterator[str]:
    dimensions = finding.dimensions
    if finding.kind != "anomaly" or len(dimensions) > _MOST_DIMENSIONS:
        return
    found: dict[str, None] = {}
    for size in range(1, len(dimensions)):
        for part in combinations(dimensions, size):
            found[finding.identity_of(part)] = None
    for carrier in sorted(finding.carriers, key=len):
        found[finding.identity_of(carrier)] = None
    found.pop(finding.identity, None)
    yield from found


def _key(finding: Finding) -> str:
    return digest(finding.kind, sorted(finding.dimensions))
