"""A counter that many threads may add to at once without a lock.

`next()` on an `itertools.count` is one C call, so the interpreter cannot switch threads inside it
and no addition is ever lost. That is what makes the drop counts exact.
"""

from __future__ import annotations

from itertools import count


class Tally:
    """Counts additions from any thread; reading it does not disturb it."""

    __slots__ = ("_count", "add")

    def __init__(self) -> None:
        self._count = count()
        self.add = self._count.__next__
        """Adds one and returns the number of additions before this one."""

    @property
    def value(self) -> int:
        """Additions so far."""
        # See "Counting without a lock" in docs/producer-internals.md.
        return int(repr(self._count)[6:-1])
