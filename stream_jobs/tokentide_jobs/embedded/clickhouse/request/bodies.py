"""Request bodies as a stream of plain bytes, whatever they were compressed with.

An insert of any size passes through a bounded buffer: pieces are collected to about a megabyte,
which makes the cost of writing one disappear, and no more than that is held, however well the body
was compressed. A client that stops sending, or only drips, is given up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ..wire.codecs import decoder
from ..wire.framing import FrameReader
from .read_deadline import ReadDeadline

if TYPE_CHECKING:
    from .query_request import QueryRequest

PIECE_BYTES: Final = 1 << 20


async def pieces(
    request: web.Request, asked: QueryRequest, deadline: ReadDeadline
) -> AsyncIterator[bytes]:
    """Yield the decoded body in pieces of about PIECE_BYTES.

    Args:
        request: Its Content-Encoding is undone.
        asked: Says whether the body is in ClickHouse's own frames (`decompress=1`).
        deadline: Bounds the waiting for it.

    Raises:
        ClickHouseError: 89 or 271 for a body that cannot be decompressed, 209 for one that stops
            or drips.
    """
    held: list[bytes] = []
    size = 0
    async for data in _decoded(request, asked, deadline):
        held.append(data)
        size += len(data)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


async def _decoded(
    request: web.Request, asked: QueryRequest, deadline: ReadDeadline
) -> AsyncIterator[bytes]:
    coding = decoder(request.headers.get("Content-Encoding", ""), trusted=not asked.user.readonly)
    frames = FrameReader() if asked.framed_body else None
    while chunk := await deadline.read(request.content.readany(), len):
        parts: Iterable[bytes] = coding.feed(chunk) if coding is not None else (chunk,)
        for part in parts:
            for data in frames.feed(part) if frames is not None else (part,):
                if data:
                    yield data
    if coding is not None and (tail := coding.finish()):
        for data in frames.feed(tail) if frames is not None else (tail,):
            yield data
    if frames is not None:
        frames.finish()
