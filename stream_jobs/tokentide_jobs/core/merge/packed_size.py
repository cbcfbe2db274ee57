"""How large an Arrow stream is once it is unpacked, from its head, before anything is unpacked.

Every packed buffer begins with its unpacked length. Arrow allocates that much at once, so a record
of a megabyte could ask for gigabytes. Only as much of the format is read as that needs
(https://arrow.apache.org/docs/format/Columnar.html, Message.fbs).
"""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

__all__ = ["unpacked_bytes"]

_HEADER: Final = 2
_DICTIONARY_DATA: Final = 1
_BUFFERS: Final = 2
_COMPRESSION: Final = 3
"""Numbers of fields: of a message, a dictionary batch and a record batch."""
_AS_IT_IS: Final = -1
"""Length of a buffer that was not worth packing."""


def unpacked_bytes(stream: bytes) -> int:
    """Return the bytes of all buffers of a stream.

    Raises:
        ValueError: It is no Arrow stream, or a length in it is none.
        OSError: It is no Arrow stream, or ends before its end.
    """
    total = 0
    try:
        for message in pa.ipc.MessageReader.open_stream(stream):
            if message.type in ("record batch", "dictionary"):
                body = memoryview(b"" if message.body is None else message.body)
                total += _batch_bytes(bytes(message.metadata), message.type == "dictionary", body)
    except struct.error as exc:
        raise ValueError(f"the head of a batch cannot be read: {exc}") from None
    return total


def _batch_bytes(head: bytes, is_dictionary: bool, body: memoryview) -> int:
    batch = _table(head, _uint32(head, 0), _HEADER)
    if is_dictionary:
        batch = _table(head, batch, _DICTIONARY_DATA)
    place = _field(head, batch, _BUFFERS)
    if place is None:
        return 0
    is_packed = _field(head, batch, _COMPRESSION) is not None
    vector = place + _uint32(head, place)
    total = 0
    for number in range(_uint32(head, vector)):
        offset, length = struct.unpack_from("<qq", head, vector + 4 + 16 * number)
        if length and is_packed:
            (unpacked,) = struct.unpack_from("<q", body, offset)
            length = length - 8 if unpacked == _AS_IT_IS else unpacked
        if length < 0:
            raise ValueError(f"a buffer of {length} bytes")
        total += length
    return total


def _uint32(head: bytes, at: int) -> int:
    number: int = struct.unpack_from("<I", head, at)[0]
    return number


def _field(head: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table stands; None where it has its default."""
    (back,) = struct.unpack_from("<i", head, table)
    vtable = table - back
    if vtable < 0:
        raise ValueError("a table that begins before the message")
    (size,) = struct.unpack_from("<H", head, vtable)
    slot = 4 + 2 * number
    if slot >= size:
        return None
    (offset,) = struct.unpack_from("<H", head, vtable + slot)
    return table + offset if offset else None


def _table(head: bytes, table: int, number: int) -> int:
    """Return where the table in a field begins."""
    place = _field(head, table, number)
    if place is None:
        raise ValueError("a batch without a head")
    return place + _uint32(head, place)
