"""When a process that died may be started again: at once, then ever later, until it stays up.

Pure: the caller brings the clock. A process that dies at start cannot turn the supervisor into a
busy loop, and one that ran well for a while is brought back without delay.
"""

from __future__ import annotations

from tokentide_jobs.backoff import Backoff

__all__ = ["RESTART_BACKOFF", "RestartSchedule"]

RESTART_BACKOFF = Backoff(first_s=0.2, longest_s=15.0)
_STEADY_AFTER_S = 5.0
"""A process that ran this long is taken for healthy: its next death counts as the first."""


class RestartSchedule:
    """The pauses of one process."""

    def __init__(self, backoff: Backoff = RESTART_BACKOFF) -> None:
        self._backoff = backoff
        self._started_s = 0.0
        self._due_s: float | None = None
        self._deaths = 0

    def started(self, now_s: float) -> None:
        """Note that the process was started."""
        self._started_s = now_s
        self._due_s = None

    def died(self, now_s: float) -> float:
        """Note its death, once or again; returns how many seconds to wait from now on."""
        if self._due_s is None:
            if now_s - self._started_s >= _STEADY_AFTER_S:
                self._deaths = 0
            self._deaths += 1
            self._due_s = now_s + self._backoff.pause_s(self._deaths)
        return max(0.0, self._due_s - now_s)

    @property
    def is_waiting(self) -> bool:
        """Whether a death was noted and no start since."""
        return self._due_s is not None
