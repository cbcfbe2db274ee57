"""Spend of a run's last minutes by buckets of event time, in one flat array.

Steps may come late and in any order: a step up to ten minutes older than the newest one counts in
every window that holds it, so the peaks are the same for every order. Older ones count in none.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from tokentide_jobs.core.guard.rules import BUCKET_US, RATE_WINDOWS_US, RING_US

__all__ = ["MAX_INT64", "SpendRing"]

MAX_INT64 = (1 << 63) - 1
_WIDTH = 3
"""Numbers of an entry: bucket, spend, calls."""
_SPANS = tuple(window // BUCKET_US for window in RATE_WINDOWS_US)
_KEPT = RING_US // BUCKET_US
_LATEST = _KEPT - max(_SPANS)
_NOTHING = (0,) * len(_SPANS)


class SpendRing:
    """Buckets that hold something, oldest first, and the highest spend of each window so far."""

    __slots__ = ("entries", "peaks")

    def __init__(self, entries: Sequence[int] = (), peaks: Sequence[int] = _NOTHING) -> None:
        self.entries = array("q", entries)
        self.peaks = tuple(peaks)

    def add(self, at_us: int, spend_pico_usd: int, calls: int) -> tuple[int, ...]:
        """Add spend; a bucket holds at most 9.2 million USD and stays there beyond.

        Returns:
            For each rate window, the highest spend of those that hold this step.
        """
        bucket = at_us // BUCKET_US
        entries = self.entries
        at = len(entries) - _WIDTH
        newest = entries[at] if entries else bucket
        if bucket <= newest - _LATEST:
            return _NOTHING
        while at >= 0 and entries[at] > bucket:
            at -= _WIDTH
        if at >= 0 and entries[at] == bucket:
            entries[at + 1] = min(MAX_INT64, entries[at + 1] + spend_pico_usd)
            entries[at + 2] += calls
        else:
            at += _WIDTH
            entries[at:at] = array("q", (bucket, min(MAX_INT64, spend_pico_usd), calls))
        if bucket > newest:
            self._forget(bucket - _KEPT)
        newest = max(newest, bucket)
        highest = tuple(
            max(self._spend(end, span) for end in range(bucket, min(newest, bucket + span - 1) + 1))
            for span in _SPANS
        )
        self.peaks = tuple(map(max, self.peaks, highest))
        return highest

    def recent_calls(self) -> int:
        """Return the calls of the longest window that ends with the newest bucket."""
        entries, calls = self.entries, 0
        for at in range(len(entries) - _WIDTH, -1, -_WIDTH):
            if entries[at] <= entries[-_WIDTH] - _SPANS[-1]:
                break
            calls += entries[at + 2]
        return calls

    def recent_pico_usd(self) -> int:
        """Return the spend of the longest window that ends with the newest bucket."""
        return self._spend(self.entries[-_WIDTH], _SPANS[-1]) if self.entries else 0

    def _spend(self, end: int, span: int) -> int:
        """Return the spend of the `span` buckets that end with `end`."""
        entries, total = self.entries, 0
        for at in range(len(entries) - _WIDTH, -1, -_WIDTH):
            bucket = entries[at]
            if bucket <= end - span:
                break
            if bucket <= end:
                total += entries[at + 1]
        return total

    def _forget(self, bucket: int) -> None:
        """Drop buckets up to and with `bucket`."""
        entries, at = self.entries, 0
        while at < len(entries) and entries[at] <= bucket:
            at += _WIDTH
        if at:
            del entries[:at]
