"""Request bodies as a stream of plain bytes, whatever they were compressed with.

An insert of any size passes through a bounded buffer: pieces are collected to about a megabyte,
which makes the cost of writing one disappear, and no more than that is held, however well the body
was compressed. A client that stops sending is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ..exceptions import ClickHouseError
from ..wire.codecs import decoder
from ..wire.framing import FrameReader

if TYPE_CHECKING:
    from .query_request import QueryRequest

PIECE_BYTES: Final = 1 << 20


async def pieces(
    request: web.Request, asked: QueryRequest, timeout_s: float
) -> AsyncIterator[bytes]:
    """Yield the decoded body in pieces of about PIECE_BYTES.

    Args:
        request: Its Content-Encoding is undone.
        asked: Says whether the body is in ClickHouse's own frames (`decompress=1`).
        timeout_s: Longest pause between two reads.

    Raises:
        ClickHouseError: 89 or 271 for a body that cannot be decompressed, 209 for one that stops.
    """
    held: list[bytes] = []
    size = 0
    async for data in _decoded(request, asked, timeout_s):
        held.append(data)
        size += len(data)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


async def _decoded(
    request: web.Request, asked: QueryRequest, timeout_s: float
) -> AsyncIterator[bytes]:
    coding = decoder(request.headers.get("Content-Encoding", ""), trusted=not asked.user.readonly)
    frames = FrameReader() if asked.framed_body else None
    while chunk := await _chunk(request, timeout_s):
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


async def _chunk(request: web.Request, timeout_s: float) -> bytes:
    try:
        async with asyncio.timeout(timeout_s):
            return await request.content.readany()
    except TimeoutError as exc:
        raise ClickHouseError(
            209, f"Timeout exceeded while reading the request body: nothing came for {timeout_s} s"
        ) from exc
