"""Pauses a partition when most of what arrives is refused, so that a broken producer is noticed.

Dead letters are for the odd refused event. When nearly everything is refused, the contract itself
is broken, and turning the whole log into dead letters would bury the cause. One record is bounded
evidence, however many lines of it are refused: it takes several to open the breaker. The pause
ends by itself: no event waits for ever, and nothing is refused that would otherwise be accepted.
Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

__all__ = ["Breaker"]

_SHARE_OF_A_RECORD: Final = 10
"""One record counts for at most a tenth of the events that are judged."""


class Breaker:
    """Judges the recent events of one partition.

    Args:
        ratio: Pause when more than this share of them is refused.
        events: How many recent events are judged; nothing is judged before that many.
        pause_ms: How long a pause lasts.
    """

    def __init__(self, ratio: float, events: int, pause_ms: int) -> None:
        self._ratio = ratio
        self._events = events
        self._most_of_a_record = max(1, events // _SHARE_OF_A_RECORD)
        self._pause_ms = pause_ms
        self._batches: deque[tuple[int, int]] = deque()  # accepted, refused
        self._accepted = 0
        self._refused = 0
        self._open_until_ms = 0

    def record(self, accepted: int, refused_by_record: Iterable[int], now_ms: int) -> bool:
        """Note a stored batch; return whether this opened the breaker.

        Args:
            accepted: Its events that were accepted.
            refused_by_record: How many were refused of each record that holds such.
            now_ms: A monotonic clock.
        """
        refused = sum(min(found, self._most_of_a_record) for found in refused_by_record)
        self._batches.append((accepted, refused))
        self._accepted += accepted
        self._refused += refused
        while len(self._batches) > 1 and self._seen - sum(self._batches[0]) >= self._events:
            old_accepted, old_refused = self._batches.popleft()
            self._accepted -= old_accepted
            self._refused -= old_refused
        if self._seen < self._events or self._refused <= self._ratio * self._seen:
            return False
        self._open_until_ms = now_ms + self._pause_ms
        self._batches.clear()  # judge afresh after the pause
        self._accepted = self._refused = 0
        return True

    def remaining_ms(self, now_ms: int) -> int:
        """Return how long the partition still has to rest; 0: it may go on."""
        return max(0, self._open_until_ms - now_ms)

    @property
    def _seen(self) -> int:
        return self._accepted + self._refused
