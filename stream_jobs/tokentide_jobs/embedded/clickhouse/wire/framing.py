"""ClickHouse's own compression: `decompress=1` request bodies and `compress=1` responses.

A frame is a 16-byte CityHash128, a method byte, the frame's size and the decompressed size (both
little-endian uint32, the first counting its own nine bytes of header), then the payload.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import cramjam
from backports import zstd
from clickhouse_cityhash.cityhash import CityHash128

from ..exceptions import ClickHouseError

_CHECKSUM = struct.Struct("<QQ")
_HEADER = struct.Struct("<BII")
_METHOD_NONE: Final = 0x02
_METHOD_LZ4: Final = 0x82
_METHOD_ZSTD: Final = 0x90

MAX_FRAME_BYTES: Final = 64 << 20
"""Refuse sizes beyond this before allocating: the header is not trustworthy. Clients write a
megabyte (clickhouse-go at most ten)."""

FRAME_BYTES: Final = 1 << 20
"""Decompressed size of the frames written, the server's own default buffer."""


class FrameReader:
    """Takes bytes as they arrive and gives the decompressed data of every complete frame.

    Checksums, sizes and methods are checked, as the server does.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the data of every frame completed by ``data``."""
        self._buffer += data
        at = 0
        prefix = _CHECKSUM.size + _HEADER.size
        while len(self._buffer) - at >= prefix:
            method, size, raw_size = _HEADER.unpack_from(self._buffer, at + _CHECKSUM.size)
            if not _HEADER.size <= size <= MAX_FRAME_BYTES or raw_size > MAX_FRAME_BYTES:
                raise ClickHouseError(
                    271, f"compressed frame claims {size} bytes ({raw_size} decompressed)"
                )
            end = at + _CHECKSUM.size + size
            if end > len(self._buffer):
                break
            frame = bytes(self._buffer[at + _CHECKSUM.size : end])
            if checksum(frame) != self._buffer[at : at + _CHECKSUM.size]:
                raise ClickHouseError(40, "Checksum doesn't match: a compressed frame is corrupted")
            yield _decompress(method, frame[_HEADER.size :], raw_size)
            at = end
        del self._buffer[:at]

    def finish(self) -> None:
        """Raise when the last frame is incomplete."""
        if self._buffer:
            raise ClickHouseError(
                271, f"{len(self._buffer)} bytes of an incomplete compressed frame at the end"
            )


class FrameWriter:
    """Writes data as frames of at most FRAME_BYTES."""

    def __init__(self, method: str = "LZ4") -> None:
        self._method = _METHOD_ZSTD if method.upper() == "ZSTD" else _METHOD_LZ4

    def feed(self, data: bytes | memoryview) -> bytes:
        """Return the frames that carry ``data``."""
        view = memoryview(data)
        out: list[bytes] = []
        for at in range(0, len(view), FRAME_BYTES):
            out.append(self._frame(bytes(view[at : at + FRAME_BYTES])))
        return b"".join(out)

    def finish(self) -> bytes:
        """Nothing: frames are complete when written."""
        return b""

    def _frame(self, raw: bytes) -> bytes:
        if self._method == _METHOD_ZSTD:
            payload = zstd.compress(raw, 1)
        else:
            payload = bytes(cramjam.lz4.compress_block(raw, store_size=False))
        body = _HEADER.pack(self._method, len(payload) + _HEADER.size, len(raw)) + payload
        return checksum(body) + body


def checksum(frame: bytes) -> bytes:
    """Hash a frame as clients verify it: CityHash128 in the version ClickHouse froze."""
    # Two numbers of 64 bits, each with its lowest byte first; the library joins them as one.
    first, second = divmod(CityHash128(frame), 1 << 64)
    return _CHECKSUM.pack(first, second)


def _decompress(method: int, payload: bytes, raw_size: int) -> bytes:
    try:
        if method == _METHOD_LZ4:
            if raw_size == 0:
                return b""
            raw = bytes(cramjam.lz4.decompress_block(payload, output_len=raw_size))
        elif method == _METHOD_ZSTD:
            raw = zstd.ZstdDecompressor().decompress(payload, raw_size + 1)
        elif method == _METHOD_NONE:
            raw = payload
        else:
            raise ClickHouseError(89, f"Unknown compression method 0x{method:02x} in a frame")
    except (cramjam.DecompressionError, zstd.ZstdError, ValueError) as exc:
        raise ClickHouseError(271, f"Cannot decompress a frame: {exc}") from exc
    if len(raw) != raw_size:
        raise ClickHouseError(271, f"A frame holds {len(raw)} bytes, its header says {raw_size}")
    return raw
