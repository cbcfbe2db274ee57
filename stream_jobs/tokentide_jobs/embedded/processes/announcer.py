"""Reports what supervision does, in a thread of its own: a reader that stops holds up no restart.

A terminal that was paused, a pipe without a reader and a log on a full disk make a write wait or
fail. Callers here neither wait nor fail; what could not be written is lost.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Announcer"]

_MOST_WAITING: Final = 1_000
"""Lines kept for a reader that stopped; the oldest go first."""
_LAST_WORDS_S: Final = 1.0


class Announcer:
    """Hands lines on, in order.

    Args:
        tell: Writes one line; it may take as long as it likes, and raise.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lines: deque[str] = deque(maxlen=_MOST_WAITING)
        self._has_more = threading.Event()
        self._is_ending = False
        self._thread = threading.Thread(target=self._work, name="announcer", daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """Have a line written soon; from any thread."""
        self._lines.append(line)
        self._has_more.set()

    def end(self, timeout_s: float = _LAST_WORDS_S) -> None:
        """Write what waits, as far as the time allows; safe to call twice."""
        self._is_ending = True
        self._has_more.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            self._has_more.wait()
            self._has_more.clear()
            is_ending = self._is_ending  # read first: lines from before it are written below
            while self._lines:
                line = self._lines.popleft()
                with contextlib.suppress(Exception):
                    self._tell(line)
            if is_ending:
                return
