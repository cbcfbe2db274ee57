"""Changes that may explain a finding, ranked by what they share with it and by how shortly before.

A cause is a candidate, never a verdict: a change that lies just before the beginning and concerns
the same things is the first place to look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from tokentide_jobs.core.tables import MINUTE_US

__all__ = ["Cause", "Change", "likely_causes"]

_LOOK_BACK_US: Final = 120 * MINUTE_US
_SLACK_US: Final = 5 * MINUTE_US
"""A change may be reported a little after what it did was seen."""
_HALF_LIFE_US: Final = 30 * MINUTE_US
_MOST: Final = 3
_SUBJECT_OF: Final = {
    "deploy": ("service", "agent"),
    "prompt": ("prompt_name",),
    "model": ("model", "provider"),
    "price": ("model", "provider"),
    "policy": ("feature", "service"),
}
"""The dimensions that the subject of a change of this kind names."""
_WEIGHT_OF_OVERLAP: Final = 0.7
"""What a change lacks that shares no dimension and contradicts none; each shared one halves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One `change` event: a deploy, or a change of prompt, model, price or policy.

    Attributes:
        kind: Of the change.
        subject: What was changed.
        at_us: When it took effect.
        from_version: Before.
        to_version: After.
        actor: Who did it.
        dimensions: Where: service, environment, tenant, team, feature; empty values left out.
    """

    kind: str
    subject: str
    at_us: int
    from_version: str = ""
    to_version: str = ""
    actor: str = ""
    dimensions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A change beside a finding.

    Attributes:
        kind: Of the change.
        subject: What was changed.
        from_version: Before.
        to_version: After.
        actor: Who did it.
        at_us: When.
        seconds_before: From the change to the beginning; below zero: after it.
        shared: Dimensions that both name with one value.
        weight: What it was ranked by, from 0 to 1.
    """

    kind: str
    subject: str
    from_version: str
    to_version: str
    actor: str
    at_us: int
    seconds_before: int
    shared: tuple[str, ...]
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """Return the form of JSON."""
        return asdict(self)

    def __str__(self) -> str:
        versions = f" from {self.from_version}" if self.from_version else ""
        versions += f" to {self.to_version}" if self.to_version else ""
        minutes = abs(self.seconds_before) // 60
        when = f"{minutes} min {'before' if self.seconds_before >= 0 else 'after'} it began"
        return f"{self.kind} of {self.subject}{versions}, {when}"


def likely_causes(
    changes: Iterable[Change],
    dimensions: Iterable[tuple[str, str]],
    since_us: int,
    until_us: int | None = None,
) -> tuple[Cause, ...]:
    """Return the changes that may explain what began at `since_us`, the likeliest first.

    A change that names another value of a dimension explains nothing here; but the service of a
    change whose subject is hit is that of its reporter, such as a registry of prompts. Weight
    halves with every half hour between the change and the beginning.

    Args:
        changes: Of the last hours at least.
        dimensions: Name and value of what the finding is about; a name may have several values.
        since_us: When it began.
        until_us: The latest that a change may be; None: soon after it began.
    """
    about: dict[str, set[str]] = defaultdict(set)
    for name, value in dimensions:
        about[name].add(value)
    last_us = since_us + _SLACK_US if until_us is None else until_us
    found = []
    for change in changes:
        age_us = since_us - change.at_us
        if age_us > _LOOK_BACK_US or change.at_us > last_us:
            continue
        named = {name: value for name, value in change.dimensions.items() if value}
        subjects = [name for name in _SUBJECT_OF.get(change.kind, ()) if name in about]
        shared = {name for name, value in named.items() if value in about.get(name, ())}
        hits = {name for name in subjects if change.subject in about[name]}
        other = {name for name in named if name in about} - shared
        if hits:
            other.discard("service")
        if other or (subjects and not hits):
            continue
        shared |= hits
        overlap = 1 - _WEIGHT_OF_OVERLAP * 0.5 ** len(shared)
        weight = overlap * 2.0 ** (-max(0, age_us) / _HALF_LIFE_US)
        found.append(_cause(change, age_us, tuple(sorted(shared)), weight))
    found.sort(key=lambda cause: (-cause.weight, -cause.at_us, cause.kind, cause.subject))
    return tuple(found[:_MOST])


def _cause(change: Change, age_us: int, shared: tuple[str, ...], weight: float) -> Cause:
    return Cause(
        kind=change.kind,
        subject=change.subject,
        from_version=change.from_version,
        to_version=change.to_version,
        actor=change.actor,
        at_us=change.at_us,
        seconds_before=age_us // 1_000_000,
        shared=shared,
        weight=round(weight, 4),
    )
