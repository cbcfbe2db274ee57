"""Since when a receiver is notified of a severity: what was stored before that concerned others.

A receiver that is new, was renamed, or whose least severity was lowered is notified of what comes
from then on, not of pages that closed long ago. One that stays gets everything, restarts or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tokentide_jobs.core.alert.finding import Severity

__all__ = ["since_by_key", "since_key"]


def since_key(receiver: str, severity: str) -> str:
    """Return what a receiver and a severity are kept under; no name has a slash."""
    return f"{receiver}/{severity}"


def since_by_key(
    before: Mapping[str, int] | None,
    receivers: Iterable[tuple[str, Iterable[Severity]]],
    now_us: int,
) -> dict[str, int]:
    """Return since when each receiver is notified of each of its severities, in microseconds.

    Args:
        before: What this returned last; None: never, so that nothing was sent and all of it is due.
        receivers: Names with the severities that they are notified of.
        now_us: When this list was found.
    """
    begin_us = 0 if before is None else now_us
    keys = [since_key(name, severity) for name, severities in receivers for severity in severities]
    return {key: (before or {}).get(key, begin_us) for key in keys}
