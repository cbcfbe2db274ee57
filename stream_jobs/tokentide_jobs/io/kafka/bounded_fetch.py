"""Fetched record batches, read without holding more than one large record, or stopping at one.

aiokafka decompresses a batch as a whole: 6 KB on the wire can become gigabytes. And it gives up a
batch at a record that it cannot read, for example a header name that is not UTF-8. Such batches are
read piece by piece instead; a record that is too long or unreadable is replaced by a stand-in with
its length and digest, which ingest and verify count as one refused event.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecord
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from tokentide_jobs.core.record.split import MAX_RECORD_BYTES, MAX_RECORD_EVENTS
from tokentide_jobs.core.record.stand_in import (
    BEGINNING_KEPT,
    KEPT_BYTES,
    size_and_digest,
    stand_in,
)
from tokentide_jobs.io.kafka.damaged_batches import DamagedBatch, FirstSeen
from tokentide_jobs.io.kafka.decompressing import largest_size, pieces

__all__ = [
    "BoundedRecords",
    "FetchedRecords",
    "bound_fetches",
    "bounded_consumer",
    "records_per_poll",
]

_LARGE_BYTES: Final = 16 * 1024 * 1024
"""Batches that cannot get larger are left to aiokafka."""
_SMALL_BYTES: Final = 1024 * 1024
"""Batches that cannot get larger are not even asked how they are compressed."""
_HEAVY_BYTES: Final = 64 * 1024 * 1024
"""Of a fetch that can get larger, one record is handed on at a time."""
_MOST_READ_BYTES: Final = 256 * 1024 * 1024
"""A batch is read so far, within a second or two; its remaining records are not even measured."""
_LONGEST_KEY_BYTES: Final = 64 * 1024
_LONGEST_HEADERS_BYTES: Final = 64 * 1024
_MOST_EXPANSION: Final = 100
"""What gets larger than that may be millions of empty headers, each of them an object in memory."""

Headers = list[tuple[str, bytes | None]]

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_CODEC, _TIME_OF_APPEND = 0x07, 0x08
_LOG_OVERHEAD: Final = 12
_MAGIC_AT: Final = 16
_MARKER_BYTES: Final = 4
_NO_MARKER: Final = b"\xff" * _MARKER_BYTES
"""Says of no transaction that it was taken back."""
_FIRST_SEEN: Final = FirstSeen()
"""Of all consumers of this process."""


def bound_fetches() -> None:
    """Make every consumer of this process read large batches piece by piece."""
    fetcher.MemoryRecords = BoundedRecords
    fetcher.PartitionRecords = FetchedRecords


def bounded_consumer(bootstrap: str, **options: Any) -> AIOKafkaConsumer:
    """Return a consumer that no record can stop; positions are its caller's business."""
    bound_fetches()
    return AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **options)


def records_per_poll(consumer: Any, usual: int | None) -> int | None:
    """Return how many fetched records may be handed on at once: one when they may be large."""
    results = consumer._fetcher._records.values()
    held = [getattr(result, "_partition_records", None) for result in results]
    is_heavy = any(getattr(getattr(part, "_records", None), "is_heavy", False) for part in held)
    return 1 if is_heavy else usual


class FetchedRecords(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka is untyped
    """aiokafka's, which tells the batches of a fetch the offset that was asked for."""

    def __init__(self, tp: Any, records: Any, aborted: Any, offset: int, *options: Any) -> None:
        records.reading = offset
        super().__init__(tp, records, aborted, offset, *options)


class BoundedRecords:
    """The record batches of one partition in one fetch; stands for aiokafka's `MemoryRecords`.

    Attributes:
        reading: The offset that was asked for.
        is_heavy: Whether the records together may be large.
    """

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._batches = list(_slices(data))
        self._next = 0
        sizes = [_largest(batch) for batch in self._batches]
        self._is_large = [
            size > _LARGE_BYTES or (size > _SMALL_BYTES and size > _MOST_EXPANSION * len(batch))
            for size, batch in zip(sizes, self._batches, strict=True)
        ]
        self._is_cut = False
        self.reading = 0
        self.is_heavy = sum(sizes) > _HEAVY_BYTES

    def size_in_bytes(self) -> int:
        """Return the bytes of the fetch."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Tell whether there is another batch that may be read now."""
        return not self._is_cut and bool(self._records.has_next())

    def next_batch(self) -> Any:
        """Return the next batch."""
        batch, number = self._records.next_batch(), self._next
        self._next += 1
        if number >= len(self._batches) or not _has_header(self._batches[number]):
            return batch
        data = self._batches[number]
        if batch.validate_crc():
            return _Batch(batch, data, self._is_large[number])
        header = _HEADER.unpack_from(data)
        damaged = DamagedBatch(
            data,
            header[0],
            (header[12], header[6] + 1),
            reading=self.reading,
            following=self._base_of_sound(number + 1),
            first_seen=_FIRST_SEEN,
        )
        self._is_cut = damaged.is_last
        return damaged

    def _base_of_sound(self, number: int) -> int | None:
        """Return the first offset of a batch; None without one whose checksum is right."""
        if number >= len(self._batches) or not _has_header(self._batches[number]):
            return None
        header = _HEADER.unpack_from(self._batches[number])
        is_sound = header[4] & 0xFFFFFFFF == calc_crc32c(bytes(self._batches[number][21:]))
        return int(header[0]) if is_sound else None


class _Batch:
    """A batch that is read by aiokafka, and record by record where that cannot or must not be."""

    def __init__(self, batch: Any, data: memoryview, is_large: bool) -> None:
        self._batch = batch
        self._is_large = is_large
        self._header = _HEADER.unpack_from(data)
        self._payload = data[_HEADER.size :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """Tell that the checksum is right: it was compared."""
        return True

    @property
    def next_offset(self) -> int:
        """The offset to read on from: behind the batch, whatever its header says."""
        return int(self._header[0]) + max(0, int(self._header[6])) + 1

    def __next__(self) -> Any:
        """Return the marker of a transaction; aiokafka asks for it so, of control batches only."""
        marker = next(iter(self), None)
        if marker is not None and len(marker.key or b"") >= _MARKER_BYTES:
            return marker
        return self._made(self._header[0], self._header[8], _NO_MARKER, None)

    def __iter__(self) -> Iterator[Any]:
        offset = self._header[0] - 1
        if not self._is_large:
            # Whatever aiokafka trips over, it has not consumed: the rest is read from there.
            with contextlib.suppress(Exception):
                for record in self._batch:
                    offset = record.offset
                    yield record
                return
        yield from self._one_by_one(offset)

    def _one_by_one(self, offset: int) -> Iterator[Any]:
        """Yield the records behind an offset, and a stand-in for each that cannot be reached."""
        attributes, count = self._header[5], self._header[12]
        last_offset = self.next_offset - 1
        content = _Content(pieces(attributes & _CODEC, self._payload))
        reason, detail = (
            "too_large",
            f"more than {_MOST_READ_BYTES} bytes come before it in its batch",
        )
        try:
            for _number in range(count):
                if content.read_bytes >= _MOST_READ_BYTES:
                    break
                record = self._record(content)
                if record.offset > offset:
                    offset = record.offset
                    yield record
        except (ValueError, EOFError) as exc:
            digest = hashlib.sha256(self._payload).hexdigest()
            reason = "unreadable"
            detail = f"its record batch cannot be read to the end ({exc}; sha256 {digest})"
        # What is left out has places all the same: each is an event that ends as a dead letter.
        left_out = range(offset + 1, last_offset + 1)[:MAX_RECORD_EVENTS]
        for place in left_out:
            value = stand_in(reason, f"{detail}, {BEGINNING_KEPT}", b"")
            yield self._made(place, self._header[8], None, value)

    def _record(self, content: _Content) -> Any:
        length = content.varint()
        end = content.read_bytes + length
        content.take(1)  # attributes, of which there are none
        time_delta, offset_delta = content.varint(), content.varint()
        is_time_of_append = self._header[5] & _TIME_OF_APPEND
        timestamp = self._header[8] if is_time_of_append else self._header[7] + time_delta
        key = _key(content, content.varint())
        value = _value(content, content.varint())
        headers: Headers = []
        if content.read_bytes < _MOST_READ_BYTES:
            headers = _headers(content, end - content.read_bytes)
        return self._made(self._header[0] + offset_delta, timestamp, key, value, headers)

    def _made(
        self,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
    ) -> Any:
        kind = int(bool(self._header[5] & _TIME_OF_APPEND))
        return DefaultRecord(offset, timestamp, kind, key, value, headers or [])


class _Content:
    """Reads numbers and bytes from the pieces of a decompressed batch."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._part = b""
        self._at = 0
        self.read_bytes = 0

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes in chunks."""
        if size < 0:
            raise ValueError(f"a length of {size}")
        while size:
            if self._at == len(self._part):
                self._part, self._at = next(self._parts, b""), 0
                if not self._part:
                    raise EOFError("the batch ends in the middle of a record")
            chunk = self._part[self._at : self._at + size]
            self._at += len(chunk)
            self.read_bytes += len(chunk)
            size -= len(chunk)
            yield chunk

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        return b"".join(self.chunks(size))

    def skip(self, size: int) -> None:
        """Go on behind the next bytes."""
        for _chunk in self.chunks(size):
            pass

    def varint(self) -> int:
        """Return the next number, in zigzag encoding."""
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")


def _key(content: _Content, size: int) -> bytes | None:
    if size < 0:
        return None
    if size > _LONGEST_KEY_BYTES:
        content.skip(size)
        return None
    return content.take(size)


def _headers(content: _Content, size: int) -> Headers:
    """Return the headers of a record; none if they are long, or not what they should be."""
    if size > _LONGEST_HEADERS_BYTES:
        content.skip(size)
        return []
    held = _Content(iter([content.take(size)]))
    headers: Headers = []
    with contextlib.suppress(ValueError, EOFError):
        for _number in range(held.varint()):
            name = held.take(held.varint()).decode(errors="backslashreplace")
            length = held.varint()
            headers.append((name, None if length < 0 else held.take(length)))
    return headers


def _value(content: _Content, size: int) -> bytes | None:
    if size < 0:
        return None
    if size <= MAX_RECORD_BYTES:
        return content.take(size)
    seen = min(size, _MOST_READ_BYTES)
    digest, beginning = hashlib.sha256(), bytearray()
    for chunk in content.chunks(seen):
        digest.update(chunk)
        beginning += chunk[: KEPT_BYTES - len(beginning)]
    of = "" if seen == size else f" of the first {seen} bytes"
    detail = size_and_digest("the record", size, digest.hexdigest() + of)
    return stand_in("too_large", detail, bytes(beginning))


def _slices(data: bytes) -> Iterator[memoryview]:
    """Yield the bytes of each whole batch, as aiokafka cuts them."""
    view, at = memoryview(data), 0
    while len(data) - at >= _LOG_OVERHEAD:
        end = at + _LOG_OVERHEAD + int.from_bytes(view[at + 8 : at + 12], "big", signed=True)
        if end > len(data) or end <= at:
            return
        yield view[at:end]
        at = end


def _has_header(batch: memoryview) -> bool:
    """Tell batches from the messages of clients of ten years ago."""
    return len(batch) >= _HEADER.size and batch[_MAGIC_AT] >= 2


def _largest(batch: memoryview) -> int:
    """Return what a batch can get to at most; those of old clients are taken as they are."""
    if not _has_header(batch):
        return len(batch)
    codec = _HEADER.unpack_from(batch)[5] & _CODEC
    payload = batch[_HEADER.size :]
    return largest_size(codec, payload) if codec else len(payload)
