"""Which records are of a worker that was overtaken: states that it wrote late are passed over.

A worker that was frozen while it published wakes up and writes what was true before. Every record
names the epoch of its writer, which grows whenever another worker may have taken over. A smaller
one counts again once the greater has sent nothing for minutes: its group may have begun again.
"""

from __future__ import annotations

from collections.abc import Iterable

OVERTAKEN_MS = 600_000
"""So long after a record of a greater epoch, smaller ones are passed over. Pipelines let another
group decide only after a quarter of an hour of silence."""
LONGEST_NUMBER = 18


class Epochs:
    """Follows the records of one reading of the topic, from its beginning on."""

    def __init__(self) -> None:
        self._epoch = -1
        self._newest_ms = 0

    def admits(self, headers: Iterable[tuple[str, bytes | None]], written_ms: int) -> bool:
        """Return whether a record counts.

        Args:
            headers: Those of the record; without an epoch it counts.
            written_ms: Its time.
        """
        epoch = _epoch_of(headers)
        if epoch is None:
            return True
        if epoch < self._epoch and written_ms <= self._newest_ms + OVERTAKEN_MS:
            return False
        if epoch == self._epoch:
            self._newest_ms = max(self._newest_ms, written_ms)
        else:
            self._epoch, self._newest_ms = epoch, written_ms
        return True


def _epoch_of(headers: Iterable[tuple[str, bytes | None]]) -> int | None:
    """Return the epoch that a record names; None where it names none that can be read."""
    for name, value in headers:
        if name == "epoch" and value and len(value) <= LONGEST_NUMBER and value.isdigit():
            return int(value)
    return None
