"""Reports once when the pipeline becomes bad, and once when it no longer is.

Between the two it is silent, whatever the reasons do meanwhile: one outage is two lines of
`tokentide up`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.text import Text

from tokentide_jobs.cli.screen import seconds
from tokentide_jobs.cli.status import status_line
from tokentide_jobs.core.status import Status

__all__ = ["BadTimes"]


class BadTimes:
    """Compares each status with the one before.

    Args:
        first: The status that was reported already.
        clock: Seconds.
    """

    def __init__(self, first: Status, clock: Callable[[], float] = time.monotonic) -> None:
        self._is_bad = first.verdict == "bad"
        self._clock = clock
        self._since_s = clock()

    def line(self, found: Status) -> Text | None:
        """Return the line that reports a change, None where nothing has begun or ended."""
        is_bad = found.verdict == "bad"
        if is_bad == self._is_bad:
            return None
        lasted_s, self._since_s = self._clock() - self._since_s, self._clock()
        self._is_bad = is_bad
        line = status_line(found)
        return line if is_bad else line.append(f"; it was bad for {seconds(lasted_s)}")
