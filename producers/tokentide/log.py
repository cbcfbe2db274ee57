"""Rate-limited log lines: each kind at most once a minute.

Telemetry that fails fails thousands of times a second. The first line of a kind is written at once,
later ones count those that were suppressed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger("tokentide")

MIN_INTERVAL_S = 60.0
"""Shortest time between two lines of one kind."""


class RateLimitedLog:
    """Writes each kind of line at most once every `MIN_INTERVAL_S` seconds; never raises."""

    __slots__ = ("_clock", "_held_back", "_last_s")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def _admits(self, kind: str) -> bool:
        """Return whether a line of this kind may be written now; a refusal is counted."""
        now_s = self._clock()
        last_s = self._last_s.get(kind)
        if last_s is not None and now_s - last_s < MIN_INTERVAL_S:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return False
        self._last_s[kind] = now_s
        return True

    def report(self, kind: str, message: str, *values: object) -> None:
        """Write one warning of this kind, unless one was written within the last minute."""
        try:
            if not self._admits(kind):
                return
            held_back = self._held_back.pop(kind, 0)
            if held_back:
                message, values = f"{message} (and %d more like this)", (*values, held_back)
            logger.warning(message, *values)
        except Exception:
            # A host's broken log handler must not stop its telemetry, nor the other way round.
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
