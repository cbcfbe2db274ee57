"""Which parts of which batches were taken, in bounded memory: what comes again is dropped.

A source publishes its batches in order, and again after a crash. What was taken is kept as ranges
of its offsets, joined where they touch; below a floor everything counts as taken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.merge.delta_record import Origin

__all__ = ["MOST_GAPS", "SeenParts"]

MOST_GAPS: Final = 256
"""Ranges that are remembered of one lane. A batch without a delta leaves a gap; the oldest gap is
closed: what comes so late can only be a repeat, since sources publish in order."""

_Stream: TypeAlias = "tuple[LogPartition, int]"
"""A source as it comes through one partition of the delta topic."""
_Lane: TypeAlias = "tuple[str, int]"
"""Schema and chunk: a batch has one record in each lane of a stream at most."""


class SeenParts:
    """The parts of batches that were taken."""

    def __init__(self) -> None:
        self._floors: dict[_Stream, int] = {}
        self._lanes: dict[_Stream, dict[_Lane, list[tuple[int, int]]]] = {}

    def settle(self, source: LogPartition, partition: int, end: int) -> bool:
        """Count everything of a source before `end` as taken, in one partition of the topic.

        Returns:
            Whether that is news; not, where more was known to be taken.
        """
        stream = source, partition
        if end < self._floors.get(stream, 0):
            return False
        self._floors[stream] = end
        for ranges in self._lanes.get(stream, {}).values():
            ranges[:] = [one for one in ranges if one[1] > end]
        return True

    def take(self, partition: int, origin: Origin) -> bool:
        """Take a part; tell whether it is new.

        Args:
            partition: Of the delta topic.
            origin: What the record says of itself.
        """
        stream = origin.source, partition
        start, end = origin.start, max(origin.end, origin.start + 1)
        if start < self._floors.get(stream, 0):
            return False
        lanes = self._lanes.setdefault(stream, {})
        ranges = lanes.setdefault((origin.schema, origin.chunk), [])
        at = bisect_right(ranges, start, key=lambda one: one[0])
        if at and start < ranges[at - 1][1]:
            return False
        low, high = at, at
        if at and ranges[at - 1][1] == start:
            low, start = at - 1, ranges[at - 1][0]
        if at < len(ranges) and ranges[at][0] == end:
            high, end = at + 1, ranges[at][1]
        ranges[low:high] = [(start, end)]
        if len(ranges) > MOST_GAPS:
            ranges[:2] = [(ranges[0][0], ranges[1][1])]
        return True

    def floors(self, source: LogPartition, partitions: Iterable[int]) -> list[int]:
        """Return before which offset all of a source is taken, by partition of the topic."""
        return [self._floors.get((source, number), 0) for number in partitions]

    def ends(self) -> dict[LogPartition, int]:
        """Return, by source, the offset after the last one that was taken."""
        ends: dict[LogPartition, int] = {}
        for (source, _partition), end in self._floors.items():
            ends[source] = max(end, ends.get(source, 0))
        for (source, _partition), lanes in self._lanes.items():
            newest = (ranges[-1][1] for ranges in lanes.values() if ranges)
            ends[source] = max([*newest, ends.get(source, 0)])
        return ends

    def to_rows(self) -> list[Any]:
        """Return everything as plain values, the same for the same state."""
        floors = [[*_plain(stream), end] for stream, end in sorted(self._floors.items())]
        lanes = [
            [*_plain(stream), *lane, [list(one) for one in ranges]]
            for stream, of_stream in sorted(self._lanes.items())
            for lane, ranges in sorted(of_stream.items())
        ]
        return [floors, lanes]

    @classmethod
    def from_rows(cls, rows: list[Any]) -> SeenParts:
        """Read what `to_rows` returned."""
        floors, lanes = rows
        seen = cls()
        for log_id, topic, number, partition, end in floors:
            seen._floors[LogPartition(log_id, topic, number), partition] = end
        for log_id, topic, number, partition, schema, chunk, ranges in lanes:
            stream = LogPartition(log_id, topic, number), partition
            of_stream = seen._lanes.setdefault(stream, {})
            of_stream[schema, chunk] = [(start, end) for start, end in ranges]
        return seen


def _plain(stream: _Stream) -> tuple[str, str, int, int]:
    source, partition = stream
    return source.log_id, source.topic, source.partition, partition
