"""How long to wait before the next try: growing pauses with jitter, and a longest one.

Every retry of the pipeline takes its pauses from here. Jitter keeps workers that failed together
from coming back together. Pure: randomness is passed in, and the caller sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from `first_s` to `longest_s`, each shortened by up to `jitter`."""

    first_s: float = 0.1
    longest_s: float = 15.0
    jitter: float = 0.5
    """Share of a pause that randomness may take away, 0 to 1."""

    def pause_s(self, attempt: int, chance: float = 0.0, *, slow: bool = False) -> float:
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

    def pauses_s(self, chance: Callable[[], float]) -> Iterator[float]:
        """Yield the pauses after the first, second, … failed try, without end."""
        for attempt in count(1):
            yield self.pause_s(attempt, chance())
