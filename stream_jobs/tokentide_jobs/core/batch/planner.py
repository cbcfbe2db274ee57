"""Where a batch begins and ends: one planner a partition, given what arrived and the time.

It protects three promises: a record is never split and never skipped, a batch is the half-open
offset range `[start, end)` that follows the previous one without a hole, and memory is bounded
because the planner says when to stop reading, by its share of the worker's budget. It has no clock
and does no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Literal, Protocol, TypeVar

from tokentide_jobs.core.batch.byte_budget import ByteBudget
from tokentide_jobs.errors import InvariantViolation

__all__ = [
    "Limits",
    "LogRecord",
    "OfferResult",
    "PartitionPlanner",
    "SealReason",
    "SealedBatch",
    "event_estimate",
]


class LogRecord(Protocol):
    """What the planner needs to know of a record."""

    @property
    def offset(self) -> int:
        """Its place in the log."""

    @property
    def value(self) -> bytes:
        """Its bytes."""


R = TypeVar("R", bound=LogRecord)

SealReason = Literal["rows", "bytes", "age", "intent", "drain"]

_RECORD_OVERHEAD_BYTES = 256
"""Python objects around one buffered record; a million tiny records must count too."""
_TIMES_AS_LONG = 8
"""The next batch begins this many times the last one's duration after the last one began. A batch
costs the store nearly the same with 1,000 events as with 4,000: four partitions that wrote one
batch after the other would leave the store no time for other clients."""
_AGES_AT_MOST = 3
"""Longest such wait, as a multiple of the batch's age: a slow store does not make it longer."""
_HEAVY_HALVES = 3
"""Beyond one and a half times a limit a batch is heavy: only one large record takes it so far."""
_COUNTED_BYTES = 16 * 1024
"""Of a large record, so many bytes are looked at to guess how many events it holds."""


class OfferResult(Enum):
    """What became of an offered record."""

    KEPT = "kept"
    REPEATED = "repeated"
    """Its offset was taken before; the log was read again from an earlier place."""
    GAP = "gap"
    """Offsets are missing before it: read again from `expected`, it is not kept yet."""
    DISCARDED = "discarded"
    """It was in flight before that second reading began; it will come again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is sealed and when reading pauses."""

    rows: int
    bytes: int
    age_ms: int
    buffer_bytes: int
    """What all partitions of a worker may hold together."""

    def is_heavy(self, batch: SealedBatch[Any]) -> bool:
        """Tell whether a batch is so far beyond the limits that it has to be written alone.

        Its last record takes every full batch a little beyond them.
        """
        return (
            batch.events * 2 > self.rows * _HEAVY_HALVES
            or batch.bytes * 2 > self.bytes * _HEAVY_HALVES
        )


@dataclass(frozen=True, slots=True)
class SealedBatch(Generic[R]):
    """The records of one partition with offsets in `[start, end)`, in offset order."""

    start: int
    end: int
    records: tuple[R, ...]
    bytes: int
    reason: SealReason
    events: int = 0
    """A guess, as it was sealed by."""


class PartitionPlanner(Generic[R]):
    """Collects the records of one partition and cuts them into batches.

    Not thread safe: the loop that owns the partition calls it.

    Args:
        start: Where the first batch begins: the ledger's position.
        limits: Seal and pause limits.
        expected: The offset reading begins at, when records before it have expired; else `start`.
        budget: Shared with the worker's other partitions; None: there are none.
    """

    def __init__(
        self,
        start: int,
        limits: Limits,
        expected: int | None = None,
        budget: ByteBudget | None = None,
    ) -> None:
        self.start = start
        self.expected = start if expected is None else max(start, expected)
        self.buffered_events = 0
        self._share = (budget or ByteBudget(limits.buffer_bytes)).share()
        self._limits = limits
        self._records: deque[tuple[R, int, int, int]] = deque()  # record, bytes, events, arrival
        self._bound_end: int | None = None
        self._seen_beyond_gap: deque[int] = deque()
        self._is_second_reading = False
        self._resumed_ms = 0
        self._rests_until_ms = 0
        self._wanted_end = 0

    def offer(self, record: R, now_ms: int) -> OfferResult:
        """Take one record, in the order the log was read.

        A hole in the offsets is believed only after a second reading from `expected`: the first
        sight of it may be a delivery that was cut short by a rebalance. What the first reading saw
        beyond the hole is remembered: holes that both readings show are believed at once, of which
        a log with transactions has one after each.
        """
        offset = record.offset
        if offset < self.expected:
            return OfferResult.REPEATED
        seen = self._seen_beyond_gap
        if seen and not self._is_second_reading:
            if offset > seen[-1]:
                seen.append(offset)
                return OfferResult.DISCARDED
            self._is_second_reading = True  # offsets went back
        while seen and seen[0] < self.expected:
            seen.popleft()
        if offset > self.expected and not (seen and seen[0] == offset):
            seen.clear()
            seen.append(offset)
            self._is_second_reading = False
            return OfferResult.GAP
        size = len(record.value) + _RECORD_OVERHEAD_BYTES
        events = event_estimate(record.value)
        self._records.append((record, size, events, now_ms))
        self._share.held_bytes += size
        self.buffered_events += events
        self.expected = offset + 1
        return OfferResult.KEPT

    def begin_batch(self, start: int, end: int | None) -> None:
        """Forget the records before `start`: they are stored. The next batch begins there.

        Args:
            start: Not before the start of the batch in hand.
            end: Where the next batch has to end, as an intent says; None leaves it to the limits.
        """
        if start < self.start or (end is not None and end <= start):
            raise InvariantViolation(
                f"a batch [{start}, {end}) cannot follow one that begins at {self.start}"
            )
        while self._records and self._records[0][0].offset < start:
            _record, size, events, _arrival = self._records.popleft()
            self._share.held_bytes -= size
            self.buffered_events -= events
        self.start = start
        self.expected = max(self.expected, start)
        self._bound_end = end

    def seal(self, now_ms: int, *, drain: bool = False) -> SealedBatch[R] | None:
        """Return the batch that is due, without removing it; None when nothing is due.

        With `drain`, whatever is there is due. A bound batch is due when its last record is here.
        The same records give the same batch again, or a longer one, until `begin_batch`.
        """
        if self._bound_end is not None:
            if self.expected < self._bound_end:
                return None
            return self._cut(self._bound_end, "intent")
        if not self._records:
            return None
        limits = self._limits
        if not (drain or self.is_ready or self.wait_ms(now_ms) == 0):
            return None
        bytes_, events, end = 0, 0, self.start
        for record, size, count, _arrival in self._records:
            bytes_, events, end = bytes_ + size, events + count, record.offset + 1
            if events >= limits.rows:
                return self._cut(end, "rows")
            if bytes_ >= limits.bytes:
                return self._cut(end, "bytes")
        return self._cut(end, "drain" if drain else "age")

    @property
    def is_ready(self) -> bool:
        """Whether a batch is due whatever its age; a full buffer waits for nothing."""
        if self._bound_end is not None:
            return self.expected >= self._bound_end
        limits = self._limits
        return (
            self.buffered_events >= limits.rows
            or self.buffered_bytes >= limits.bytes
            or self.is_full
            or (self.expected >= self._wanted_end and self._lacks_wanted)
        )

    @property
    def buffered_bytes(self) -> int:
        """What is held of records that are not stored yet."""
        return self._share.held_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing is buffered."""
        return not self._records

    @property
    def oldest(self) -> R | None:
        """The first buffered record, None when there is none."""
        return self._records[0][0] if self._records else None

    def resume(self, now_ms: int) -> None:
        """Start the age of what is buffered again: reading goes on after a pause.

        A pause means a backlog. There a full batch, half a second later, is worth more than the
        remainder of the buffer at once: every batch has a cost of its own.
        """
        self._resumed_ms = now_ms

    def rest_after(self, begun_ms: int, took_ms: int) -> None:
        """Keep the next batch from being due by its age soon after one that was written.

        A record that comes after a silence is not delayed: the rest is over by then.
        """
        rest_ms = min(_TIMES_AS_LONG * took_ms, _AGES_AT_MOST * self._limits.age_ms)
        self._rests_until_ms = begun_ms + rest_ms

    def seal_at(self, end: int) -> None:
        """Have a batch due as soon as every record before `end` is here: a window waits for it."""
        self._wanted_end = end

    def age_ms(self, now_ms: int) -> int:
        """Return how long the oldest buffered record has waited while reading; 0: there is none."""
        if not self._records:
            return 0
        return now_ms - max(self._records[0][3], self._resumed_ms)

    def wait_ms(self, now_ms: int) -> int | None:
        """Return the milliseconds until age alone seals a batch; None: only another record can."""
        if not self._records or self._bound_end is not None:
            return None
        until_aged_ms = self._limits.age_ms - self.age_ms(now_ms)
        return max(0, until_aged_ms, self._rests_until_ms - now_ms)

    @property
    def is_full(self) -> bool:
        """Whether reading must pause; never while an open intent still lacks records."""
        return not self._lacks_records and bool(self._records) and self._share.is_full

    @property
    def has_room(self) -> bool:
        """Whether paused reading may go on: half of what may be held is free again."""
        return self._lacks_records or self._share.is_half_free

    def leave(self) -> None:
        """Give back what is held of the worker's budget: the partition ends."""
        self._share.leave()

    @property
    def _lacks_wanted(self) -> bool:
        return bool(self._records) and self._records[0][0].offset < self._wanted_end

    @property
    def _lacks_records(self) -> bool:
        return self._bound_end is not None and self.expected < self._bound_end

    def _cut(self, end: int, reason: SealReason) -> SealedBatch[R]:
        taken = list(self._before(end))
        return SealedBatch(
            start=self.start,
            end=end,
            records=tuple(record for record, _size, _events, _arrival in taken),
            bytes=sum(size for _record, size, _events, _arrival in taken),
            reason=reason,
            events=sum(events for _record, _size, events, _arrival in taken),
        )

    def _before(self, end: int) -> Iterator[tuple[R, int, int, int]]:
        for item in self._records:
            if item[0].offset >= end:
                return
            yield item


def event_estimate(value: bytes) -> int:
    """Guess how many events a record holds: its lines, and never less than one.

    The lines of a large frame are taken to be like its first ones: to look for the ends of all of
    them takes as long as to read the frame from Kafka.
    """
    size = len(value)
    if size > 2 * _COUNTED_BYTES:
        return max(1, value.count(b"\n", 0, _COUNTED_BYTES) * size // _COUNTED_BYTES)
    return value.count(b"\n") + (not value.endswith(b"\n"))
