"""How many lines of one kind go to the log: clients without a password must not fill a disk.

A minute's first lines are written; the rest is counted, and the count stands before the next line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

LINES_PER_MINUTE: Final = 20
_WINDOW_S: Final = 60.0


class LineRate(logging.Filter):
    """Lets a number of records pass in a minute.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._begun_s = float("-inf")
        self._passed = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is written; one after a pause tells how many were not."""
        now_s = self._clock()
        if now_s - self._begun_s >= _WINDOW_S:
            if self._left_out:
                record.msg = f"({self._left_out} lines before this one were left out) {record.msg}"
            self._begun_s, self._passed, self._left_out = now_s, 0, 0
        if self._passed >= LINES_PER_MINUTE:
            self._left_out += 1
            return False
        self._passed += 1
        return True
