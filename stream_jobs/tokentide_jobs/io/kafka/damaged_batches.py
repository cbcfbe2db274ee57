"""Record batches whose checksum is wrong: fetched again, and passed over where they stay wrong.

Damage on the way is gone with the next fetch. What comes again with the same bytes is what the
broker has: a damaged disk, or a broker that lets producers write such batches. Each offset of it
is one refused event (`unreadable`), and what follows is read. aiokafka would raise, for ever.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecord

from tokentide_jobs.core.record.split import MAX_RECORD_EVENTS
from tokentide_jobs.core.record.stand_in import BEGINNING_KEPT, stand_in

__all__ = ["DamagedBatch", "FirstSeen"]

_FETCHES: Final = 3
"""So often the same bytes came from the broker before they are believed."""
_MOST_REMEMBERED: Final = 1_000


class FirstSeen:
    """How often this process was sent each damaged batch."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()

    def seen(self, digest: str) -> int:
        """Count one more; returns how many there were."""
        count = self._counts.pop(digest, 0) + 1
        self._counts[digest] = count
        if len(self._counts) > _MOST_REMEMBERED:
            self._counts.popitem(last=False)
        return count


class DamagedBatch:
    """Stands for a damaged batch, of which no record can be read.

    Its header is damaged, too, or not: when its two counts agree they are believed. When they do
    not, it ends where the next batch begins. Where none came with it, its offsets are taken one by
    one, as long as the broker answers with this batch.

    Args:
        data: The batch as it came.
        base_offset: Its first offset, which the broker has set: no checksum covers it.
        counts: Its records, and how many offsets it takes, as its header says.
        reading: The offset that was asked for: nothing before it is read again.
        following: The first offset of the sound batch that came behind it, None without one.
        first_seen: Those of this process.

    Attributes:
        next_offset: The offset to read on from: unchanged while the batch is fetched again.
        is_last: Whether nothing behind it may be read out of this fetch, or it would be skipped.
    """

    is_control_batch = False
    is_transactional = False
    producer_id = None

    def __init__(
        self,
        data: memoryview,
        base_offset: int,
        counts: tuple[int, int],
        *,
        reading: int,
        following: int | None,
        first_seen: FirstSeen,
    ) -> None:
        self.base_offset = base_offset
        self._digest = hashlib.sha256(data).hexdigest()
        self._first = max(base_offset, reading)
        self.next_offset, self.is_last = self._first, True
        if first_seen.seen(self._digest) < _FETCHES:
            return
        records, offsets = counts
        is_sound = records == offsets and 0 < records <= MAX_RECORD_EVENTS
        end = base_offset + offsets if is_sound else following
        if end is not None and following is not None:
            end = min(end, following)
        if end is None or end - base_offset > MAX_RECORD_EVENTS:
            end = self._first + 1
        else:
            self.is_last = following is None
        self.next_offset = max(end, self._first + int(self.is_last))

    def validate_crc(self) -> bool:
        """Tell aiokafka to go on."""
        return True

    def __iter__(self) -> Iterator[Any]:
        detail = f"its record batch has a wrong checksum (sha256 {self._digest}), {BEGINNING_KEPT}"
        value = stand_in("unreadable", detail, b"")
        for offset in range(self._first, self.next_offset):
            yield DefaultRecord(offset, 0, 0, None, value, [])
