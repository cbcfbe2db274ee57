"""Frames that wait for the broker: bounded in bytes, in order, one batch in flight at a time.

This is the memory an outage may use, so what will not be sent soon is kept compressed: the same
bytes then hold about ten times as many events. Frames in flight are never dropped, because the
broker may already have them; all others may be, oldest first, when the policy says so.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import replace

from tokentide.delivery.framing import Frame

PACK_BEYOND_BYTES = 1024 * 1024
"""Frames are compressed once so much waits ahead of them: in normal service never."""


class Backlog:
    """The frames between encoding and acknowledgement.

    Args:
        max_bytes: Memory that frames may take. One frame is always admitted, however large.
    """

    __slots__ = ("_max_bytes", "_waiting", "in_flight", "size_bytes")

    is_durable = False
    """Whether frames can outlive the process."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[Frame, bool]] = deque()
        """Frames, and whether their payload is compressed."""
        self.in_flight: list[Frame] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self.in_flight)

    @property
    def is_full(self) -> bool:
        """Whether no further frame should be encoded for now."""
        return self.size_bytes >= self._max_bytes

    @property
    def events(self) -> int:
        """Events that wait or are in flight in memory only; from any thread."""
        waiting = sum(frame.events for frame, _ in self._waiting.copy())
        return waiting + sum(frame.events for frame in self.in_flight.copy())

    @property
    def first_number(self) -> int | None:
        """Number of the oldest frame that is not settled, or None when all are."""
        if self.in_flight:
            return self.in_flight[0].number
        return self._waiting[0][0].number if self._waiting else None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return not (self._waiting or self.in_flight)

    @property
    def spooled_events(self) -> int:
        """Events that are safe on the disk and wait for the broker; from any thread."""
        return 0

    @property
    def spool_bytes(self) -> int:
        """Bytes of the files they are in; from any thread."""
        return 0

    def maintain(self) -> None:
        """Do what is due, every few milliseconds; nothing where there is no disk."""

    def save(self) -> None:
        """Put everything on the disk, where there is one."""

    def close(self) -> None:
        """Let go of the disk."""

    def add(self, frame: Frame) -> None:
        """Queue one frame behind all others."""
        is_packed = self.size_bytes >= PACK_BEYOND_BYTES
        if is_packed:
            # The fastest level: text as repetitive as this shrinks to a tenth even so.
            frame = replace(frame, payload=zlib.compress(frame.payload, 1))
        self._waiting.append((frame, is_packed))
        self.size_bytes += len(frame.payload)

    def drop_excess(self) -> int:
        """Drop the oldest waiting frames until the backlog is within its bound.

        Returns:
            The number of events dropped.
        """
        events = 0
        while self.size_bytes > self._max_bytes and self._waiting:
            frame, _ = self._waiting.popleft()
            self.size_bytes -= len(frame.payload)
            events += frame.events
        return events

    def start_batch(self, max_bytes: int) -> list[Frame]:
        """Move the oldest frames in flight: of one topic, at most `max_bytes`, at least one."""
        batch_bytes = 0
        while self._waiting:
            if self.in_flight and self._waiting[0][0].topic != self.in_flight[0].topic:
                break
            frame = self._unpack_first()
            batch_bytes += len(frame.payload)
            if self.in_flight and batch_bytes > max_bytes:
                break
            self.in_flight.append(frame)
            self._waiting.popleft()
        return list(self.in_flight)

    def _unpack_first(self) -> Frame:
        """Return the oldest waiting frame, no longer compressed."""
        frame, is_packed = self._waiting[0]
        if is_packed:
            packed_bytes = len(frame.payload)
            frame = replace(frame, payload=zlib.decompress(frame.payload))
            self._waiting[0] = (frame, False)
            self.size_bytes += len(frame.payload) - packed_bytes
        return frame

    def settle(self, frame: Frame) -> None:
        """Forget one frame in flight: it was delivered, or refused for good."""
        self.in_flight.remove(frame)
        self.size_bytes -= len(frame.payload)
