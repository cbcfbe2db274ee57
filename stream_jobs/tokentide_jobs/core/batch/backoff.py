"""How long to wait before trying again: growing pauses with jitter, and a cap.

Jitter keeps workers that failed together from coming back together. Pure: randomness is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from `first_s` to `longest_s`, each shortened by up to `jitter`."""

    first_s: float = 0.1
    longest_s: float = 15.0
    jitter: float = 0.5
    """Share of a pause that randomness may take away, 0 to 1."""

    def pause_s(self, attempt: int, chance: float, *, slow: bool = False) -> float:
        """Return the seconds to wait after failed try number `attempt` (1, 2, …).

        Args:
            attempt: How many tries have failed, at least 1.
            chance: A random number in [0, 1).
            slow: Use the longest pause at once: trying sooner cannot help.
        """
        # Capping the exponent keeps 2**attempt finite in an outage of days.
        doubled_s = self.first_s * 2 ** min(attempt - 1, 30)
        pause_s = self.longest_s if slow else min(self.longest_s, doubled_s)
        return pause_s * (1 - self.jitter * chance)
