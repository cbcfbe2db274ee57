"""One file of the disk spool: frames one after another, each with its length and checksum.

Layout: magic, offset of the first frame that is not settled, then the frames. Invariant: a frame is
read back exactly as it was written or not at all; a tail that was torn by a crash ends the file.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from pathlib import Path

from tokentide.delivery.framing import Frame

_HEADER = struct.Struct("<8sQ")
_MAGIC = b"TTSPOOL1"
_DONE_AT = 8
_PREFIX = struct.Struct("<II")
"""Bytes of the body, and its CRC-32."""
_BODY = struct.Struct("<QIHH")
"""Frame number, events, bytes of the topic, bytes of the producer id; both texts, then payload."""
_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_FRAME_EVENTS = 1_000_000
"""More of either in one frame means that what is read is not a frame."""


class DamagedSegment(OSError):
    """The file does not hold what was written to it; the rest of it cannot be read."""


def pack(frame: Frame, producer_id: str) -> bytes:
    """Return a frame as it is written; `producer_id` says whose it is unless the frame does."""
    topic, producer = frame.topic.encode(), (frame.producer_id or producer_id).encode()
    body = b"".join(
        (
            _BODY.pack(frame.number, frame.events, len(topic), len(producer)),
            topic,
            producer,
            # The fastest level: text as repetitive as this shrinks to a tenth even so.
            zlib.compress(frame.payload, 1),
        )
    )
    return _PREFIX.pack(len(body), zlib.crc32(body)) + body


def _unpack(body: bytes) -> Frame:
    number, events, topic_bytes, producer_bytes = _BODY.unpack_from(body)
    topic_end = _BODY.size + topic_bytes
    producer_end = topic_end + producer_bytes
    return Frame(
        number,
        zlib.decompress(body[producer_end:]),
        events,
        topic=body[_BODY.size : topic_end].decode(),
        producer_id=body[topic_end:producer_end].decode(),
    )


class Segment:
    """A file of frames that is written at its end and read from its start.

    Made by `create` or `load`. All sizes and offsets are bytes; `events` counts what is not
    settled, `position` is where reading goes on, and `next_number` is at most the number of the
    next frame to be read.
    """

    __slots__ = ("_done", "_fd", "events", "next_number", "path", "position", "size_bytes")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = _HEADER.size
        self.events = 0
        self.next_number = 0
        self._done = _HEADER.size
        self.position = _HEADER.size
        self._fd: int | None = None

    @classmethod
    def create(cls, path: Path) -> Segment:
        """Make an empty file; raises OSError when that is impossible."""
        segment = cls(path)
        segment._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.pwrite(segment._fd, _HEADER.pack(_MAGIC, _HEADER.size), 0)
        except OSError:
            segment.delete()
            raise
        return segment

    @classmethod
    def load(cls, path: Path) -> Segment:
        """Open a file that another process, or an earlier thread, left behind.

        Raises:
            OSError: It cannot be opened or read; DamagedSegment: it is no segment.
        """
        segment = cls(path)
        segment._fd = os.open(path, os.O_RDWR)
        try:
            segment._scan()
        finally:
            segment.rest()
        return segment

    def _scan(self) -> None:
        """Find where whole frames end, which of them are settled, and how many events are not."""
        fd = self._open()
        file_bytes = os.fstat(fd).st_size
        header = os.pread(fd, _HEADER.size, 0)
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            raise DamagedSegment(f"{self.path} is not a spool segment")
        settled_to = int(_HEADER.unpack(header)[1])
        events_after: list[tuple[int, int, int]] = []
        end = _HEADER.size
        while (found := self._look(fd, end, file_bytes)) is not None:
            body_bytes, number, events = found
            events_after.append((end, number, events))
            end += _PREFIX.size + body_bytes
        self.size_bytes = end
        if settled_to == end or any(start == settled_to for start, _, _ in events_after):
            self._done = self.position = settled_to
        unsettled = [entry for entry in events_after if entry[0] >= self._done]
        self.events = sum(events for _, _, events in unsettled)
        self.next_number = unsettled[0][1] if unsettled else 0

    @staticmethod
    def _look(fd: int, start: int, file_bytes: int) -> tuple[int, int, int] | None:
        """Return size, number and events of the frame at `start`; None where no whole one is."""
        head = os.pread(fd, _PREFIX.size + _BODY.size, start)
        if len(head) < _PREFIX.size + _BODY.size:
            return None
        body_bytes, _crc = _PREFIX.unpack_from(head)
        number, events, _, _ = _BODY.unpack_from(head, _PREFIX.size)
        is_whole = start + _PREFIX.size + body_bytes <= file_bytes
        if (
            not is_whole
            or not _BODY.size <= body_bytes <= _MAX_BODY_BYTES
            or events > _MAX_FRAME_EVENTS
        ):
            return None
        return body_bytes, number, events

    @property
    def has_unread(self) -> bool:
        """Whether there is a frame that was not read yet."""
        return self.position < self.size_bytes

    @property
    def is_in_flight(self) -> bool:
        """Whether some frame was read, or marked so, and is not settled yet."""
        return self._done < self.position

    def append(self, record: bytes, frame: Frame, *, is_in_flight: bool = False) -> int:
        """Write one frame at the end.

        Args:
            record: What `pack` made of the frame.
            frame: The frame.
            is_in_flight: It is being sent, so `read` must not return it.

        Returns:
            The offset behind it, for `settle`.

        Raises:
            OSError: It could not be written whole; the file is as before.
        """
        fd = self._open()
        written = 0
        try:
            while written < len(record):
                written += os.pwrite(fd, record[written:], self.size_bytes + written)
        except OSError:
            os.ftruncate(fd, self.size_bytes)
            raise
        if not self.has_unread:
            self.next_number = frame.number
        self.size_bytes += len(record)
        self.events += frame.events
        if is_in_flight:
            self.position = self.size_bytes
        return self.size_bytes

    def read(self) -> tuple[Frame, int]:
        """Return the next frame and the offset behind it.

        Raises:
            OSError: The disk failed; DamagedSegment: what is there is not what was written.
        """
        fd = self._open()
        prefix = os.pread(fd, _PREFIX.size, self.position)
        if len(prefix) < _PREFIX.size:
            raise DamagedSegment(f"{self.path} ends before {self.size_bytes} bytes")
        body_bytes, crc = _PREFIX.unpack(prefix)
        if not _BODY.size <= body_bytes <= _MAX_BODY_BYTES:
            raise DamagedSegment(f"{self.path} holds no frame at {self.position}")
        body = os.pread(fd, body_bytes, self.position + _PREFIX.size)
        if len(body) < body_bytes or zlib.crc32(body) != crc:
            raise DamagedSegment(f"{self.path} has a wrong checksum at {self.position}")
        frame = _unpack(body)
        self.position += _PREFIX.size + body_bytes
        self.next_number = frame.number + 1
        return frame, self.position

    def unread(self, position: int, number: int) -> None:
        """Make `read` go on at `position`, which is that of the frame with this number."""
        self.position = position
        self.next_number = number

    def settle(self, end: int, events: int) -> None:
        """Remember, in the file too, that everything before `end` needs no more sending."""
        self._done = end
        self.events -= events
        os.pwrite(self._open(), end.to_bytes(8, "little"), _DONE_AT)

    @property
    def is_open(self) -> bool:
        """Whether the file is held open, and can be read wherever it is."""
        return self._fd is not None

    @property
    def is_lost(self) -> bool:
        """Whether the file was removed, moved or replaced since it was opened here.

        What is in it may still be read while it is open; no later process would find it.
        """
        try:
            there = self.path.stat()
            if self._fd is None:
                return False
            mine = os.fstat(self._fd)
        except OSError:
            return True
        return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino)

    def sync(self) -> None:
        """Wait until what was written would survive a power cut."""
        if self._fd is not None:
            _flush_to_disk(self._fd)

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDWR)
        return self._fd

    def rest(self) -> None:
        """Give the descriptor back; the next use opens the file again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def delete(self) -> None:
        """Remove the file, if it is still there."""
        self.rest()
        self.path.unlink(missing_ok=True)


def _flush_to_disk(fd: int) -> None:
    """Wait until a file's data is on the disk itself; macOS has no `fdatasync`."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
        return
    try:
        # There `fsync` leaves the data in the drive's own cache, which a power cut empties.
        fcntl.fcntl(fd, getattr(fcntl, "F_FULLFSYNC"))  # noqa: B009 - not on every system
    except (AttributeError, OSError):  # no such command here, or on this file system
        os.fsync(fd)
