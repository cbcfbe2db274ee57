"""INSERT with data: the body goes to the engine as it arrives, in constant memory.

The engine parses and squashes blocks as the server does, so deduplication by token, materialised
views and the number of parts are the server's. Nothing is committed for a body that ends early.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .errors import ClickHouseError
from .literals import quote
from .prologue import prepare

if TYPE_CHECKING:
    from aiohttp import web

    from .connection import EngineConnection, EngineResult
    from .pool import Call
    from .requests import QueryRequest
    from .responses import Reply
    from .sql_text import Statement


async def run_insert(
    call: Call,
    asked: QueryRequest,
    statement: Statement,
    body: AsyncIterator[bytes],
    reply: Reply,
) -> web.StreamResponse:
    """Insert the statement's own data and then the body; answers when the rows are stored."""
    call.killable = False
    if statement.input_call is not None:
        return await _insert_through_input(call, asked, statement, body, reply)
    insert = _Insert(statement)

    def begin(connection: EngineConnection) -> None:
        prepare(connection, asked, call.marker)
        insert.begin(connection)

    await call.run(begin)
    call.at_close(insert.abandon)
    held = statement.inline_data
    try:
        async for piece in body:
            if held:
                await call.run(lambda connection, data=held: insert.append(connection, data))  # type: ignore[misc]
            held = piece
    except (ConnectionError, OSError) as exc:
        raise ClickHouseError(
            210, f"The request body ended early: {exc}; nothing was inserted"
        ) from exc

    def finish(connection: EngineConnection) -> None:
        # The last piece and the commit share one hop to the thread: most inserts are one piece.
        if held:
            insert.append(connection, held)
        insert.finish(connection)

    await call.run(finish)
    summary = reply.summary
    summary.written_rows = summary.result_rows = insert.rows
    summary.written_bytes = summary.result_bytes = insert.bytes
    summary.read_rows, summary.read_bytes = insert.rows, insert.bytes
    return await reply.send_whole(b"", statement.insert_format or "")


async def _insert_through_input(
    call: Call,
    asked: QueryRequest,
    statement: Statement,
    body: AsyncIterator[bytes],
    reply: Reply,
) -> web.StreamResponse:
    """INSERT ... SELECT ... FROM input(...): the engine has no such stream, so a file stands in."""
    assert statement.input_call is not None
    with tempfile.NamedTemporaryFile(prefix="input-") as spool:
        spool.write(statement.inline_data)
        async for piece in body:
            spool.write(piece)
        spool.flush()
        start, end = statement.input_call
        source = f"file({quote(spool.name)}, {quote(statement.insert_format or '')}, "
        sql = statement.sql[:start] + source.encode() + statement.sql[end:]

        def work(connection: EngineConnection) -> EngineResult:
            prepare(connection, asked, call.marker)
            return connection.query(sql, "Null")

        result = await call.run(work)
    reply.summary.written_rows = result.rows_written()
    reply.summary.written_bytes = result.bytes_written()
    return await reply.send_whole(b"", statement.insert_format or "")


class _Insert:
    """One open INSERT; every method runs on the request's thread."""

    def __init__(self, statement: Statement) -> None:
        self._sql = statement.sql
        self._format = statement.insert_format or "Values"
        self._handle: Any = None
        self.rows = 0
        self.bytes = 0

    def begin(self, connection: EngineConnection) -> None:
        """Check table, columns and rights; raises what the server would."""
        self._handle = connection.send_insert(self._sql, self._format)

    def append(self, connection: EngineConnection, data: bytes) -> None:
        """Parse one piece of data."""
        connection.insert_append(self._handle, data)

    def finish(self, connection: EngineConnection) -> None:
        """Store the rows; nothing is visible before, unless there are millions of them."""
        handle, self._handle = self._handle, None
        result = connection.insert_done(handle)
        self.rows, self.bytes = result.rows_written(), result.bytes_written()

    def abandon(self, connection: EngineConnection) -> None:
        """Drop an insert that was not finished."""
        handle, self._handle = self._handle, None
        if handle is not None:
            connection.insert_cancel(handle)
