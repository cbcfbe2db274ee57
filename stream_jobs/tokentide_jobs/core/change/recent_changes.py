"""The changes of the last hours, in bounded memory: what candidate causes are looked for in.

What is kept depends on the stream alone, so a replay keeps the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from tokentide_jobs.core.change.cause import Change
from tokentide_jobs.core.tables import HOUR_US

__all__ = ["RecentChanges"]

_KEPT_US: Final = 6 * HOUR_US
"""Twice as long as causes are looked for, and more: an alarm may open long after it began."""
_MOST: Final = 1_000


class RecentChanges:
    """Changes in the order in which they came; beyond the most that are kept, the first ones go."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque(maxlen=_MOST)

    def add(self, changes: Iterable[Change], now_us: int) -> None:
        """Take changes in; those that are older than what is kept go."""
        known = (one for one in (*self._changes, *changes) if one.at_us > now_us - _KEPT_US)
        self._changes = deque(known, maxlen=_MOST)

    def all(self) -> tuple[Change, ...]:
        """Return what is kept."""
        return tuple(self._changes)

    def to_rows(self) -> list[Any]:
        """Return everything as plain values."""
        return [
            [
                one.at_us, one.kind, one.subject, one.from_version, one.to_version, one.actor,
                dict(one.dimensions),
            ]
            for one in self._changes
        ]  # fmt: skip

    @classmethod
    def from_rows(cls, rows: Iterable[list[Any]]) -> RecentChanges:
        """Read what `to_rows` returned."""
        recent = cls()
        for at_us, kind, subject, from_version, to_version, actor, where in rows:
            recent._changes.append(
                Change(
                    kind=kind,
                    subject=subject,
                    at_us=at_us,
                    from_version=from_version,
                    to_version=to_version,
                    actor=actor,
                    dimensions=where,
                )
            )
        return recent
