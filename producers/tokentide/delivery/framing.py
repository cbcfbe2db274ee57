"""Frames: many encoded events in one Kafka record, separated by newlines.

A stream processor pays per record, not per byte, so a frame of hundreds of events costs it what one
event would. Invariant: events keep their order, within a frame and from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """One record value on its way to the broker."""

    number: int
    """Position in the producer's stream of frames, from 0 and without gaps."""
    payload: bytes
    """Newline-delimited JSON objects, no trailing newline."""
    events: int
    topic: str = ""
    """Where it goes; empty for the producer's events topic."""
    producer_id: str = ""
    """Whose stream `number` counts; empty for the producer that sends it. Another one's frames are
    those a dead process left on disk."""


class Framer:
    """Collects encoded events into frames of bounded size.

    Args:
        max_events: Events of one frame.
        max_bytes: Payload of one frame, newlines included. A single larger event is a frame of its
            own: the caller decides beforehand whether it is small enough to send at all.
    """

    __slots__ = ("_lines", "_max_bytes", "_max_events", "_size_bytes", "next_number")

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lines: list[bytes] = []
        self._size_bytes = 0
        self.next_number = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: bytes) -> Frame | None:
        """Add one encoded event; returns the frame that was full before it, if any."""
        full = None
        if self._lines and (
            len(self._lines) >= self._max_events
            or self._size_bytes + 1 + len(line) > self._max_bytes
        ):
            full = self.cut()
        self._size_bytes += len(line) + (1 if self._lines else 0)
        self._lines.append(line)
        return full

    def add_all(self, lines: list[bytes]) -> list[Frame]:
        """Add encoded events in order; returns the frames that were full before them."""
        size_bytes = self._size_bytes + sum(map(len, lines)) + len(lines)
        if len(self._lines) + len(lines) <= self._max_events and size_bytes <= self._max_bytes:
            # Together with a newline too many, they fit: no need to look at each.
            self._size_bytes = size_bytes - (0 if self._lines else 1)
            self._lines += lines
            return []
        return [frame for line in lines if (frame := self.add(line)) is not None]

    def cut(self) -> Frame | None:
        """Return what has been collected as a frame, or None when there is nothing."""
        if not self._lines:
            return None
        frame = Frame(self.next_number, b"\n".join(self._lines), len(self._lines))
        self.next_number += 1
        self._lines = []
        self._size_bytes = 0
        return frame
