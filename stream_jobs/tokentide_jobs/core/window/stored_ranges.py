"""Which stored windows are read for a question about a long time: hours, and minutes at its edges.

Budgets and SLOs ask so; each computes its own ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StoredRanges"]


@dataclass(frozen=True, slots=True)
class StoredRanges:
    """Half-open ranges of UTC microseconds by the length of the windows to be read."""

    hours: tuple[tuple[int, int], ...]
    minutes: tuple[tuple[int, int], ...]
