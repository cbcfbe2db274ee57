"""Request bodies as a stream of plain bytes, whatever they were compressed with.

An insert of any size passes through a bounded buffer: pieces are collected to about a megabyte,
which makes the cost of handing one to the engine's thread disappear, and no more than that is
held.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from ..wire.codecs import decoder
from ..wire.framing import FrameReader

PIECE_BYTES: Final = 1 << 20


async def pieces(request: web.Request, *, framed: bool) -> AsyncIterator[bytes]:
    """Yield the decoded body in pieces of about PIECE_BYTES.

    Args:
        request: Its Content-Encoding is undone.
        framed: True for `decompress=1`: the body is in ClickHouse's own frames.

    Raises:
        ClickHouseError: 89 or 271 for a body that cannot be decompressed.
    """
    coding = decoder(request.headers.get("Content-Encoding", ""))
    frames = FrameReader() if framed else None
    held: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        data = coding.feed(chunk) if coding is not None else chunk
        if frames is not None:
            data = frames.feed(data)
        if data:
            held.append(data)
            size += len(data)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if coding is not None:
        tail = coding.finish() or b""
        held.append(frames.feed(tail) if frames is not None else tail)
    if frames is not None:
        frames.finish()
    last = b"".join(held)
    if last:
        yield last


async def whole(request: web.Request, *, framed: bool) -> bytes:
    """Return the decoded body in one piece."""
    return b"".join([piece async for piece in pieces(request, framed=framed)])
