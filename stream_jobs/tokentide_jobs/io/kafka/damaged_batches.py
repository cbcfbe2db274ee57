"""Record batches whose checksum is wrong: fetched again, and passed over where they stay wrong.

Damage on the way is gone with the next fetch. What comes again with the same bytes is what the
broker has: a damaged disk, or a broker that lets producers write such batches. Each offset of it
is one bad event (`unreadable`), and what follows is read. aiokafka would raise, for ever.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecord

from tokentide_jobs.core.record.split import MAX_RECORD_EVENTS
from tokentide_jobs.core.record.stand_in import BEGINNING_KEPT, stand_in

__all__ = ["DamagedBatch", "Sightings"]

_FETCHES: Final = 3
"""So often the same bytes came from the broker before they are believed."""
_MOST_REMEMBERED: Final = 1_000


class Sightings:
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
    """Stands for a damaged batch; the last one of its fetch, so that nothing behind it is skipped.

    Its header is damaged, too, or not: when its two counts agree they are believed. When they do
    not, its offsets are taken one by one, as long as the broker answers with this batch.

    Args:
        data: The batch as it came.
        base_offset: Its first offset, which the broker has set: no checksum covers it.
        counts: Its records, and how many offsets it takes, as its header says.
        sightings: Those of this process.
    """

    is_control_batch = False
    is_transactional = False
    producer_id = None

    def __init__(
        self, data: memoryview, base_offset: int, counts: tuple[int, int], sightings: Sightings
    ) -> None:
        self.base_offset = base_offset
        self._digest = hashlib.sha256(data).hexdigest()
        surplus = sightings.seen(self._digest) - _FETCHES
        records, offsets = counts
        is_sound = records == offsets and 0 < records <= MAX_RECORD_EVENTS
        self._count = 0 if surplus < 0 else offsets if is_sound else surplus + 1

    @property
    def next_offset(self) -> int:
        """The offset to read on from: that of the batch itself while it is fetched again."""
        return self.base_offset + self._count

    def validate_crc(self) -> bool:
        """Tell aiokafka to go on."""
        return True

    def __iter__(self) -> Iterator[Any]:
        detail = f"its record batch has a wrong checksum (sha256 {self._digest}), {BEGINNING_KEPT}"
        value = stand_in("unreadable", detail, b"")
        for offset in range(self.base_offset, self.next_offset):
            yield DefaultRecord(offset, 0, 0, None, value, [])
