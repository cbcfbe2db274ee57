"""Compressed record batches: how large they can get, and their content piece by piece.

The size is read from the headers of the blocks, without decompressing anything: 6 KB of zstd can
hold 200 MB. It is an upper bound, and a close one for what is not made to deceive.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import cramjam
import lz4.frame
from backports import zstd

__all__ = ["largest_size", "pieces"]

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
"""Codecs, as the attributes of a record batch number them."""

_PIECE_BYTES: Final = 1024 * 1024
_ZSTD_BLOCK_BYTES: Final = 128 * 1024
_ZSTD_WINDOW_LOG: Final = 25
"""Windows of up to 32 MiB; producers use at most 8."""
_LZ4_BLOCK_BYTES: Final = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}
_GZIP_LOOK_BYTES: Final = 16 * 1024 * 1024
_DEFLATE_RATIO: Final = 1032
"""More than deflate can expand anything."""
_UNKNOWN: Final = 1 << 40
_ZSTD_MAGIC, _LZ4_MAGIC = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16


def largest_size(codec: int, payload: memoryview) -> int:
    """Return a size that the decompressed payload does not exceed."""
    try:
        if codec == GZIP:
            return _largest_gzip(payload)
        if codec == SNAPPY:
            return sum(map(cramjam.snappy.decompress_raw_len, _snappy_blocks(payload)))
        if codec == ZSTD:
            return _largest_zstd(payload)
        if codec == LZ4:
            return _largest_lz4(payload)
    except (IndexError, KeyError, zlib.error, cramjam.DecompressionError):
        return _UNKNOWN  # it is broken, or written to be misread
    return len(payload)


def _largest_gzip(payload: memoryview) -> int:
    """Decompress to find out: gzip states its size at the end, and a forged one states less."""
    most = len(payload) * _DEFLATE_RATIO
    if most <= _GZIP_LOOK_BYTES:
        return most
    decompressor = zlib.decompressobj(wbits=31)
    size = len(decompressor.decompress(payload, _GZIP_LOOK_BYTES))
    return size if decompressor.eof and not decompressor.unused_data else most


def _snappy_blocks(payload: memoryview) -> Iterator[memoryview]:
    if bytes(payload[: len(_XERIAL)]) != _XERIAL:
        yield payload
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(payload):
        length = int.from_bytes(payload[at : at + 4], "big")
        yield payload[at + 4 : at + 4 + length]
        at += 4 + length


def _largest_zstd(payload: memoryview) -> int:
    """Add up the blocks of the first frame; a second one is taken for a whole window."""
    if payload[:4] != _ZSTD_MAGIC:
        return _UNKNOWN
    descriptor = payload[4]
    is_single_segment = descriptor >> 5 & 1
    at = 5 + (not is_single_segment) + (0, 1, 2, 4)[descriptor & 3]
    at += (is_single_segment, 2, 4, 8)[descriptor >> 6]
    size, is_last = 0, False
    while not is_last:
        header = payload[at] | payload[at + 1] << 8 | payload[at + 2] << 16
        is_last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        size += _ZSTD_BLOCK_BYTES if kind == 2 else length
        at += 3 + (1 if kind == 1 else length)
    at += 4 * (descriptor >> 2 & 1)
    return _with_rest(size, len(payload) - at, _ZSTD_BLOCK_BYTES)


def _largest_lz4(payload: memoryview) -> int:
    if payload[:4] != _LZ4_MAGIC:
        return _UNKNOWN
    flags, block_bytes = payload[4], _LZ4_BLOCK_BYTES[payload[5] >> 4 & 7]
    at = 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)
    size = 0
    while length := int.from_bytes(payload[at : at + 4], "little"):
        size += block_bytes
        at += 4 + (length & 0x7FFFFFFF) + 4 * (flags >> 4 & 1)
    at += 4 + 4 * (flags >> 2 & 1)
    return _with_rest(size, len(payload) - at, _LZ4_BLOCK_BYTES[7])


def _with_rest(size: int, rest: int, most: int) -> int:
    """Add what may follow the first frame: so much for every byte."""
    return _UNKNOWN if rest < 0 else size + rest * most


def pieces(codec: int, payload: memoryview) -> Iterator[bytes]:
    """Yield the decompressed payload in pieces of at most a megabyte.

    Raises:
        ValueError: The payload is broken.
    """
    if codec == NONE:
        yield bytes(payload)
    elif codec == SNAPPY:
        yield from _snappy_pieces(payload)
    elif codec == GZIP:
        yield from _gzip_pieces(payload)
    elif codec in (LZ4, ZSTD):
        yield from _frame_pieces(payload, lz4.frame.LZ4FrameDecompressor if codec == LZ4 else _zstd)
    else:
        raise ValueError(f"no compression codec has the number {codec}")


def _zstd() -> Any:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    )


def _frame_pieces(payload: memoryview | bytes, new: Callable[[], Any]) -> Iterator[bytes]:
    try:
        while payload:
            decompressor = new()
            piece = decompressor.decompress(payload, _PIECE_BYTES)
            while piece or not decompressor.eof:
                if not piece and decompressor.needs_input:
                    raise ValueError("the compressed payload ends too early")
                yield piece
                piece = b"" if decompressor.eof else decompressor.decompress(b"", _PIECE_BYTES)
            payload = decompressor.unused_data or b""
    except (zstd.ZstdError, RuntimeError) as exc:
        raise ValueError(f"the compressed payload is broken: {exc}") from exc


def _gzip_pieces(payload: memoryview | bytes) -> Iterator[bytes]:
    try:
        while payload:
            decompressor = zlib.decompressobj(wbits=31)
            piece = decompressor.decompress(payload, _PIECE_BYTES)
            while piece or not decompressor.eof:
                if not piece and not decompressor.unconsumed_tail:
                    raise ValueError("the compressed payload ends too early")
                yield piece
                piece = decompressor.decompress(decompressor.unconsumed_tail, _PIECE_BYTES)
            payload = decompressor.unused_data
    except zlib.error as exc:
        raise ValueError(f"the compressed payload is broken: {exc}") from exc


def _snappy_pieces(payload: memoryview) -> Iterator[bytes]:
    """Yield the blocks of a stream; a payload without blocks is one piece, however long.

    No encoding of snappy expands more than some twentyfold, so that is bounded by the fetch.
    """
    try:
        for block in _snappy_blocks(payload):
            yield bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as exc:
        raise ValueError(f"the compressed payload is broken: {exc}") from exc
