"""Identical steps in a row: one step again and again, or a cycle of up to four.

Two agents that hand one task back and forth repeat a cycle of two. The count is of steps that equal
the step one cycle before; a step of unknown kind ends it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LONGEST_CYCLE", "Streak"]

LONGEST_CYCLE = 4
_NONE = (0,) * LONGEST_CYCLE


class Streak:
    """The last fingerprints, and for each length of cycle how many steps in a row repeat it.

    Attributes:
        last: Fingerprints of the latest steps, newest first.
        counts: Repeated steps in a row, by length of cycle from 1.
        spend_pico_usd: What those steps cost.
    """

    __slots__ = ("counts", "last", "spend_pico_usd")

    def __init__(
        self,
        last: Sequence[int] = (),
        counts: Sequence[int] = _NONE,
        spend_pico_usd: Sequence[int] = _NONE,
    ) -> None:
        self.last = tuple(last)
        self.counts = tuple(counts)
        self.spend_pico_usd = tuple(spend_pico_usd)

    def add(self, fingerprint: int, spend_pico_usd: int, *, is_late: bool, is_error: bool) -> None:
        """Count one step.

        Args:
            fingerprint: What it equals; 0: not known.
            spend_pico_usd: What it cost.
            is_late: Earlier than the newest step: it may end a streak, it never makes one longer.
            is_error: A failed call reports no usage, hence has no fingerprint: it changes nothing.
        """
        if not fingerprint and is_error:
            return
        if is_late and fingerprint in self.last:
            return
        if not fingerprint:
            self.last, self.counts, self.spend_pico_usd = (), _NONE, _NONE
            return
        last = self.last
        if fingerprint not in last:
            if any(self.counts):
                self.counts = self.spend_pico_usd = _NONE
        else:
            equal = [p < len(last) and last[p] == fingerprint for p in range(LONGEST_CYCLE)]
            self.counts = tuple(
                count + 1 if same else 0 for count, same in zip(self.counts, equal, strict=True)
            )
            self.spend_pico_usd = tuple(
                spend + spend_pico_usd if same else 0
                for spend, same in zip(self.spend_pico_usd, equal, strict=True)
            )
        self.last = (fingerprint, *last[: LONGEST_CYCLE - 1])

    def longest(self) -> tuple[int, int, int]:
        """Return (repeated steps in a row, what they cost, length of the cycle) of the longest."""
        count = max(self.counts)
        cycle = self.counts.index(count)
        return count, self.spend_pico_usd[cycle], cycle + 1
