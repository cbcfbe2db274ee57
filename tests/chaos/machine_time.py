"""A clock for deadlines on a machine that others use too: what they took does not count.

Tests run beside each other, on as many cores as there are. A promise of thirty seconds holds for
the processor time that was left to the stack; on a machine that does nothing else that is thirty
seconds of the wall clock, however busy the stack itself is.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Final

import psutil

__all__ = ["MachineTime", "own_seconds", "share_left"]

_LOOK_EVERY_S: Final = 0.5
_LEAST_SHARE: Final = 0.1
"""Of the wall clock: a deadline comes also on a machine that others fill."""


class MachineTime:
    """Call it for the seconds since it was made, less the share that other programs took."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looked_s = time.monotonic()
        self._busy_s, self._own_s = _busy_s(), own_seconds()

    def __call__(self) -> float:
        """Return the seconds until now; looks at the machine twice a second at most."""
        now_s = time.monotonic()
        passed_s = now_s - self._looked_s
        if passed_s >= _LOOK_EVERY_S:
            busy_s, own_s = _busy_s(), own_seconds()
            others_s = busy_s - self._busy_s - max(0.0, own_s - self._own_s)
            self._seconds += passed_s * share_left(others_s, passed_s, os.cpu_count() or 1)
            self._looked_s, self._busy_s, self._own_s = now_s, busy_s, own_s
        return self._seconds


def share_left(others_s: float, passed_s: float, processors: int) -> float:
    """Return which share of the machine was left when others used so many processor seconds."""
    return min(1.0, max(_LEAST_SHARE, 1.0 - others_s / (passed_s * processors)))


def _busy_s() -> float:
    """Processor seconds that the machine has been busy, or was not given by its host."""
    times = psutil.cpu_times()
    idle_s = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return float(sum(times) - idle_s)  # `user` holds that of guests already


def own_seconds() -> float:
    """Return the processor seconds of this process and its descendants, ended ones included."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total
