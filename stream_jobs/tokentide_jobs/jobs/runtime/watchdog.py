"""Ends a worker that looks alive and does nothing, so that its supervisor starts a fresh one.

Group coordinators, consumers and event loops can hang without an error. A thread of its own, which
needs none of them, watches two facts: the loop turns, and waiting records are being stored. Another
one sees to it that a worker which has done its work is gone soon.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["STUCK_EXIT_CODE", "Watchdog"]

_log = logging.getLogger(__name__)

STUCK_EXIT_CODE = 4
"""As any internal error: the supervisor starts the worker again."""


class Watchdog:
    """Watches one worker.

    Args:
        stall_timeout_s: How long it may make no progress while records wait.
        clock_s: A monotonic clock.
        give_up: Ends the process; it must not depend on the event loop.
    """

    def __init__(
        self,
        stall_timeout_s: float,
        clock_s: Callable[[], float] = time.monotonic,
        give_up: Callable[[int], object] = os._exit,
    ) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._clock_s = clock_s
        self._give_up = give_up
        self._beat_s = clock_s()
        self._progress_s = clock_s()
        self._ended = threading.Event()

    def start(self) -> None:
        """Watch from a thread until `end`."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def end(self, within_s: float, exit_code: int) -> None:
        """Stop watching: the process ends by itself, or is ended when it is still there then.

        Args:
            within_s: How long it may take.
            exit_code: Of a process that had to be ended.
        """
        self._ended.set()
        timer = threading.Timer(within_s, self._end_late, (within_s, exit_code))
        timer.daemon = True
        timer.start()

    def beat(self) -> None:
        """Note that the event loop turns."""
        self._beat_s = self._clock_s()

    def progress(self) -> None:
        """Note that something was stored, nothing waits, or waiting has a known reason."""
        self._progress_s = self._clock_s()

    def check(self) -> None:
        """Give up if the worker is stuck."""
        now_s = self._clock_s()
        silent_s, idle_s = now_s - self._beat_s, now_s - self._progress_s
        if max(silent_s, idle_s) < self._stall_timeout_s:
            return
        what = "event_loop_stuck" if silent_s >= self._stall_timeout_s else "no_progress"
        log_event(_log, logging.CRITICAL, what, silent_s=round(silent_s), idle_s=round(idle_s))
        self._give_up(STUCK_EXIT_CODE)

    def _end_late(self, within_s: float, exit_code: int) -> None:
        log_event(_log, logging.WARNING, "ended_by_force", after_s=within_s, exit_code=exit_code)
        self._give_up(exit_code)

    def _watch(self) -> None:
        while not self._ended.wait(min(5.0, self._stall_timeout_s / 4)):
            self.check()
