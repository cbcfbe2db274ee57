"""INSERT with data: the body goes to a file beside the tables, and the engine reads that file.

The engine's streaming insert hides every error of the write stage (a full memory limit, a throwing
view, a constraint) and reports success for rows that were dropped; `FROM INFILE` raises them as the
server does. Deduplication, views and parts are the server's; a cut-off body inserts nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from ..access.sql_text import tokens
from ..exceptions import ClickHouseError
from ..literals import quote
from .prologue import prepare

SPOOL_PREFIX: Final = "insert-"
"""Beginning of the names of the files that bodies wait in; left-overs of a crash carry it too."""

if TYPE_CHECKING:
    from aiohttp import web

    from ..access.sql_text import Statement
    from ..engine.connection import EngineConnection, EngineResult
    from ..engine.pool import Call
    from ..request.query_request import QueryRequest
    from ..response.reply import Reply


async def run_insert(
    call: Call,
    asked: QueryRequest,
    statement: Statement,
    body: AsyncIterator[bytes],
    reply: Reply,
) -> web.StreamResponse:
    """Insert the statement's own data and then the body; answers when the rows are stored."""
    call.killable = False
    with tempfile.NamedTemporaryFile(prefix=SPOOL_PREFIX, dir=".") as spool:
        try:
            spool.write(statement.inline_data)
            async for piece in body:
                spool.write(piece)
        except (ConnectionError, OSError) as exc:
            raise ClickHouseError(
                210, f"The request body ended early: {exc}; nothing was inserted"
            ) from exc
        spool.flush()
        sql = _from_file(statement, spool.name)

        def work(connection: EngineConnection) -> EngineResult:
            prepare(connection, asked, call.marker)
            return connection.query(sql, "Null")

        result = await call.run(work)
    summary = reply.summary
    summary.written_rows = summary.result_rows = result.rows_written()
    summary.written_bytes = summary.result_bytes = result.bytes_written()
    summary.read_rows, summary.read_bytes = summary.written_rows, summary.written_bytes
    return await reply.send_whole(b"", statement.insert_format or "")


def _from_file(statement: Statement, path: str) -> bytes:
    """Put the data in `path` into the INSERT; the clause stands before SETTINGS and FORMAT."""
    if statement.input_call is not None:
        start, end = statement.input_call
        source = f"file({quote(path)}, {quote(statement.insert_format or '')}, "
        return statement.sql[:start] + source.encode() + statement.sql[end:]
    at = len(statement.sql)
    for token in tokens(statement.sql):
        if token.keyword == b"SETTINGS" and token.depth == 0:
            at = token.start
    source = f" FROM INFILE {quote(path)} COMPRESSION 'none' "
    ending = f" FORMAT {statement.insert_format}"
    return statement.sql[:at] + source.encode() + statement.sql[at:] + ending.encode()
