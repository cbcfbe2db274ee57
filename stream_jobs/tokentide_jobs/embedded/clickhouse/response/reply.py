"""Responses as ClickHouse words them: headers, compression, and exceptions before or amid the data.

Nothing is sent before the first megabyte or the end of the result, so most failures still get
their own HTTP status; one that comes later is appended in the block clients look for, and the
connection is closed so that the truncated result cannot be taken for a whole one.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ..exceptions import ClickHouseError
from ..request.query_request import flag
from ..wire.codecs import Encoder, encoder
from ..wire.framing import FrameWriter
from ..wire.output_formats import PLAIN_TEXT, content_type

if TYPE_CHECKING:
    from ..engine.pool import Engine
    from ..request.query_request import QueryRequest

_SEND_TIMEOUT_S: Final = 300.0
"""How long a client may not read while its result waits (the server's send_timeout)."""


@dataclass(slots=True)
class QuerySummary:
    """Counters of one query for X-ClickHouse-Summary."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    started_ns: int = 0

    def header(self) -> str:
        """Return the header's JSON; every value is a string, as from the server."""
        values = {
            "read_rows": self.read_rows,
            "read_bytes": self.read_bytes,
            "written_rows": self.written_rows,
            "written_bytes": self.written_bytes,
            "total_rows_to_read": 0,
            "result_rows": self.result_rows,
            "result_bytes": self.result_bytes,
            "elapsed_ns": time.monotonic_ns() - self.started_ns,
        }
        return json.dumps({name: str(value) for name, value in values.items()})


class Reply:
    """One response: collects bytes, compresses them, and knows how to fail."""

    def __init__(self, request: web.Request, asked: QueryRequest, engine: Engine) -> None:
        self._request = request
        self._asked = asked
        self._engine = engine
        self._tag = secrets.token_hex(8)  # 16 characters, as the server's
        self._encoder: Encoder | None = None
        self._response: web.StreamResponse | None = None
        self.summary = QuerySummary(started_ns=time.monotonic_ns())

    def _headers(self, output_format: str | None) -> dict[str, str]:
        headers = {
            "Content-Type": PLAIN_TEXT if output_format is None else content_type(output_format),
            "X-ClickHouse-Server-Display-Name": self._engine.display_name,
            "X-ClickHouse-Query-Id": _header(self._asked.query_id),
            "X-ClickHouse-Timezone": self._engine.timezone,
            "X-ClickHouse-Exception-Tag": self._tag,
            "X-ClickHouse-Summary": self.summary.header(),
        }
        if output_format is not None:
            headers["X-ClickHouse-Format"] = output_format
        if self._asked.framed_response:
            self._encoder = FrameWriter(self._asked.frame_method)
        elif self._asked.coding:
            self._encoder = encoder(self._asked.coding)
            headers["Content-Encoding"] = self._asked.coding
        return headers

    async def send_whole(self, body: bytes, output_format: str | None) -> web.StreamResponse:
        """Send a complete result with its length.

        Args:
            body: The result.
            output_format: Its format; None for a statement that has none, which clients see by
                the header that is not there.
        """
        headers = self._headers(output_format)
        if self._encoder is not None and body:
            body = self._encoder.feed(body) + self._encoder.finish()
        elif not body:
            headers.pop("Content-Encoding", None)
        return web.Response(body=body, headers=headers)

    async def start(self, output_format: str) -> None:
        """Send the headers of a result whose length is not known."""
        headers = self._headers(output_format)
        self._response = web.StreamResponse(headers=headers)
        self._response.enable_chunked_encoding()
        await self._response.prepare(self._request)

    async def write(self, data: bytes | memoryview) -> None:
        """Send a piece of the result; waits while the client is slow."""
        assert self._response is not None
        if self._encoder is not None:
            data = self._encoder.feed(data)
        if not len(data):
            return
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await self._response.write(data)
        except TimeoutError as exc:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client does not read its result") from exc

    async def end(self) -> web.StreamResponse:
        """Finish the result started with start(), but for the last chunk.

        The server sends that one when the request has let go of its session: a client that sees
        the end may use the session again at once.
        """
        assert self._response is not None
        if self._encoder is not None and (tail := self._encoder.finish()):
            await self._response.write(tail)
        return self._response

    async def fail(self, error: ClickHouseError) -> web.StreamResponse:
        """Report ``error``: as the response, or at the end of what was already sent."""
        if self._response is None:
            return error_response(error, self._request, self._engine)
        text = _words(error, self._engine)
        block = (
            f"\r\n__exception__\r\n{self._tag}\r\n{text}{len(text.encode())} {self._tag}"
            "\r\n__exception__\r\n"
        )
        await self.write(block.encode(errors="replace"))
        if self._encoder is not None and (tail := self._encoder.finish()):
            await self._response.write(tail)
        if self._request.transport is not None:
            # Without the last chunk, every client sees that the result is not complete.
            self._request.transport.close()
        return self._response


def error_response(error: ClickHouseError, request: web.Request, engine: Engine) -> web.Response:
    """Answer a query that failed before its result began, in frames if the client reads frames."""
    body = _words(error, engine).encode(errors="replace")
    if flag(request.query.get("compress", "")):
        writer = FrameWriter(request.query.get("network_compression_method", "LZ4"))
        body = writer.feed(body) + writer.finish()
    headers = {
        "Content-Type": PLAIN_TEXT,
        "X-ClickHouse-Server-Display-Name": engine.display_name,
        "X-ClickHouse-Query-Id": _header(request.query.get("query_id", "")),
        "X-ClickHouse-Timezone": engine.timezone,
        "X-ClickHouse-Exception-Code": str(error.code),
    }
    return web.Response(status=error.http_status, body=body, headers=headers)


def _header(text: str) -> str:
    """Return a client's text as the value of a header, which holds no control characters."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _words(error: ClickHouseError, engine: Engine) -> str:
    """Return the text of an error without the place of the data on this machine."""
    return error.body(engine.version).replace(f"{engine.home}/", "").replace(engine.home, "")
