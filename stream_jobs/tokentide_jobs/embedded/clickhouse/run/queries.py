"""Statements that give a result: in pieces where the format allows, else formatted whole."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final

from ..wire import native
from ..wire.output_formats import ARROW_STREAM_END, DEFAULT_FORMAT, joiner
from .prologue import prepare

if TYPE_CHECKING:
    from aiohttp import web

    from ..access.sql_text import Statement
    from ..engine.connection import EngineConnection, EngineResult
    from ..engine.pool import Call
    from ..request.query_request import QueryRequest
    from ..response.reply import Reply

HELD_BYTES: Final = 1 << 20
"""How much of a result is held back before the headers go out (the server's buffer_size)."""

_SPOOL_MEMORY_BYTES: Final = 16 << 20

_NOT_STREAMED: Final = frozenset({b"TOTALS", b"EXTREMES", b"OUTPUT_FORMAT_JSON_ARRAY_OF_ROWS"})
"""Words that give a result parts besides its rows, which only the whole document shows right."""


async def run_query(
    call: Call, asked: QueryRequest, statement: Statement, reply: Reply
) -> web.StreamResponse:
    """Run any statement but an INSERT with data, and answer with its result."""
    output_format = statement.output_format or asked.default_format or DEFAULT_FORMAT
    sql = statement.sql
    call.killable = statement.keyword in (b"SELECT", b"WITH", b"FROM")
    join = joiner(output_format) if _streams(statement, asked) else None
    if join is None:
        return await _run_whole(call, asked, sql, output_format, reply)
    pieces = _Pieces(sql, output_format, asked.revision, join, reply)

    def begin(connection: EngineConnection) -> tuple[bytes, bool]:
        # One hop to the thread for all of it: most results are one piece.
        prepare(connection, asked, call.marker)
        pieces.begin(connection)
        return pieces.fetch(connection)

    block, ended = await call.run(begin)
    if ended:
        return await reply.send_whole(block, output_format)
    if asked.wait_end_of_query:
        return await _send_spooled(call, pieces, block, output_format, reply)
    await reply.start(output_format)
    await reply.write(block)
    while not ended:
        block, ended = await call.run(pieces.fetch)
        await reply.write(block)
    return await reply.end()


def _streams(statement: Statement, asked: QueryRequest) -> bool:
    if statement.keyword not in (b"SELECT", b"WITH", b"FROM"):
        return False
    if statement.words & _NOT_STREAMED or b"INSERT" in statement.words:
        return False
    return not {name.upper().encode() for name in asked.settings} & _NOT_STREAMED


async def _run_whole(
    call: Call, asked: QueryRequest, sql: bytes, output_format: str, reply: Reply
) -> web.StreamResponse:
    def work(connection: EngineConnection) -> bytes:
        prepare(connection, asked, call.marker)
        result = connection.query(sql, output_format)
        summary = reply.summary
        summary.read_rows, summary.read_bytes = _storage_read(result)
        summary.result_rows = result.rows_read()
        summary.result_bytes = result.bytes_read()
        summary.written_rows = result.rows_written()
        summary.written_bytes = result.bytes_written()
        data = bytes(result.bytes())
        if output_format == "Native" and asked.revision:
            data = native.upgrade(data, asked.revision)
        return data

    body = await call.run(work)
    return await reply.send_whole(body, output_format)


async def _send_spooled(
    call: Call, pieces: _Pieces, block: bytes, output_format: str, reply: Reply
) -> web.StreamResponse:
    """`wait_end_of_query=1`: hold the result, on disk beyond a few megabytes, until it is whole."""
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_MEMORY_BYTES) as spool:
        spool.write(block)
        size = len(block) + await call.run(lambda connection: pieces.drain(connection, spool))
        spool.seek(0)
        if size <= _SPOOL_MEMORY_BYTES:
            return await reply.send_whole(spool.read(), output_format)
        await reply.start(output_format)
        while block := spool.read(HELD_BYTES):
            await reply.write(block)
        return await reply.end()


class _Pieces:
    """A streamed result; every method runs on the request's thread."""

    def __init__(
        self,
        sql: bytes,
        output_format: str,
        revision: int,
        join: Callable[[memoryview], memoryview],
        reply: Reply,
    ) -> None:
        self._sql = sql
        self._format = output_format
        self._revision = revision if output_format == "Native" else 0
        self._join = join
        self._summary = reply.summary
        self._stream: Any = None
        self._sent_any = False

    def begin(self, connection: EngineConnection) -> None:
        """Start the query; the engine reports most errors only with the first piece."""
        self._stream = connection.send_query(self._sql, self._format)

    def fetch(self, connection: EngineConnection) -> tuple[bytes, bool]:
        """Fetch the next megabyte or so of the result, and whether it was the last."""
        held: list[bytes | memoryview] = []
        size = 0
        while size < HELD_BYTES:
            piece = self._next(connection)
            if piece is None:
                if self._format == "ArrowStream":
                    held.append(ARROW_STREAM_END)
                return b"".join(held), True
            held.append(piece)
            size += len(piece)
        return b"".join(held), False

    def drain(self, connection: EngineConnection, spool: IO[bytes]) -> int:
        """Write the whole result to ``spool``; returns its size in bytes."""
        size, ended = 0, False
        while not ended:
            block, ended = self.fetch(connection)
            spool.write(block)
            size += len(block)
        return size

    def _next(self, connection: EngineConnection) -> bytes | memoryview | None:
        result = connection.streaming_fetch_result(self._stream)
        if result is None:
            return None
        rows = result.rows_read()
        read_rows, read_bytes = _storage_read(result)
        self._summary.read_rows += read_rows
        self._summary.read_bytes += read_bytes
        self._summary.result_rows += rows
        self._summary.result_bytes += result.bytes_read()
        data = bytes(result.bytes())
        if rows == 0:
            # The end; for an empty result it carries the format's header.
            return self._join(memoryview(data)) if data and not self._sent_any else None
        self._sent_any = True
        if self._revision:
            return native.upgrade(data, self._revision, rows)
        return self._join(memoryview(data))


def _storage_read(result: EngineResult) -> tuple[int, int]:
    return result.storage_rows_read(), result.storage_bytes_read()
