"""Statements that give a result: in pieces where the format allows, else from a file."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from ..engine.waiting_space import HELD_IN_MEMORY_BYTES
from ..exceptions import ClickHouseError
from ..literals import quote
from ..wire import native
from ..wire.output_formats import DEFAULT_FORMAT, joiner
from .pieces import HELD_BYTES, Pieces, storage_read
from .time_zones import time_zones

if TYPE_CHECKING:
    from aiohttp import web

    from ..access.statement import Statement
    from ..engine.connection import EngineConnection, EngineResult
    from ..engine.pool import EngineJob
    from ..engine.waiting_space import SpaceClaim
    from ..request.query_request import QueryRequest
    from ..response.reply import Reply

RESULT_PREFIX: Final = "result-"
"""Beginning of the names of the files that whole results wait in; a crash may leave one."""

_LOOK_S: Final = 0.05
"""Pause between two looks at how long a result has become."""
_NATIVE_WHOLE_BYTES: Final = 64 << 20
_NOT_STREAMED: Final = ("extremes", "output_format_json_array_of_rows")
"""Settings that give a result parts besides its rows, which only the whole document shows right."""

Prepare = Callable[["EngineConnection"], None]


async def run_query(
    job: EngineJob,
    asked: QueryRequest,
    statement: Statement,
    reply: Reply,
    prepare: Prepare,
) -> web.StreamResponse:
    """Run any statement but an INSERT with data, and answer with its result."""
    output_format = statement.output_format or asked.default_format or DEFAULT_FORMAT
    job.killable = statement.is_select
    if not statement.is_select:
        return await _run_small(job, asked, statement, output_format, reply, prepare)
    join = joiner(output_format) if _streams(statement, asked) else None
    if join is None:
        return await _run_whole(job, asked, statement, output_format, reply, prepare)

    def zones_beside() -> dict[int, str]:
        with job.beside() as connection:
            prepare(connection)
            return time_zones(connection, statement)

    pieces = Pieces(statement, output_format, asked.revision, join, reply, job.budget, zones_beside)
    job.at_close(lambda _: pieces.let_go())

    def begin(connection: EngineConnection) -> tuple[bytes, bool]:
        # One hop to the thread for all of it: most results are one piece.
        prepare(connection)
        if asked.tables or job.keeps_connection:
            pieces.ask_zones(connection)  # no other connection sees its temporary tables
        pieces.begin(connection)
        return pieces.fetch(connection)

    block, ended = await job.run(begin)
    if ended:
        return await reply.send_whole(block, output_format)
    if asked.wait_end_of_query:
        return await _send_spooled(job, pieces, block, output_format, reply)
    await reply.start(output_format)
    await reply.write(block)
    while not ended:
        block, ended = await job.run(pieces.fetch)
        await reply.write(block)
    return await reply.end()


def _streams(statement: Statement, asked: QueryRequest) -> bool:
    if " WITH TOTALS" in statement.outline:
        return False
    return not any(name in asked.settings or name in statement.settings for name in _NOT_STREAMED)


async def _run_small(
    job: EngineJob,
    asked: QueryRequest,
    statement: Statement,
    output_format: str,
    reply: Reply,
    prepare: Prepare,
) -> web.StreamResponse:
    """Run a statement whose result describes tables, settings or what was written."""

    def work(connection: EngineConnection) -> bytes:
        prepare(connection)
        result = connection.query(statement.sql_bytes, output_format)
        job.write_failures.end_if_any()
        _count(reply, result)
        data = bytes(result.bytes())
        if output_format == "Native" and asked.revision:
            data = native.upgrade(data, asked.revision)
        return data

    data = await job.run(work)
    return await reply.send_whole(data, output_format if data or statement.has_result else None)


async def _run_whole(
    job: EngineJob,
    asked: QueryRequest,
    statement: Statement,
    output_format: str,
    reply: Reply,
    prepare: Prepare,
) -> web.StreamResponse:
    """Let the engine write the document to a file, in constant memory, and send that."""
    path = Path(f"{RESULT_PREFIX}{secrets.token_hex(8)}")
    sql = f"{statement.sql} INTO OUTFILE {quote(str(path))} FORMAT {output_format}"

    def work(connection: EngineConnection) -> IO[bytes]:
        prepare(connection)
        try:
            result = connection.query(sql.encode(errors="surrogateescape"), "Null")
            job.write_failures.end_if_any()
            _count(reply, result)
            return path.open("rb")
        finally:
            path.unlink(missing_ok=True)  # what is open stays readable

    with job.space.claimed() as claim, await _watched(job, work, path, claim) as document:
        size = document.seek(0, os.SEEK_END)
        claim.grow_to(size)
        document.seek(0)
        if output_format != "Native" or not asked.revision:
            return await _send_file(document, size, output_format, reply)
        if size > _NATIVE_WHOLE_BYTES:
            raise ClickHouseError(
                241, f"A Native result with totals has {size} bytes: ask without WITH TOTALS"
            )
        data = document.read()
        zones: dict[int, str] = {}
        if native.may_hide_time_zones(data, asked.revision):
            zones = await job.run(lambda connection: time_zones(connection, statement))
        return await reply.send_whole(
            native.upgrade(data, asked.revision, zones=zones), output_format
        )


async def _watched(
    job: EngineJob, work: Callable[[EngineConnection], IO[bytes]], path: Path, claim: SpaceClaim
) -> IO[bytes]:
    """Run `work`, which writes a file, while that is not too long; else its query is stopped."""
    running = asyncio.ensure_future(job.run(work))
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=_LOOK_S)
            claim.grow_to(_size(path))
        return running.result()
    finally:
        running.cancel()  # the engine stops a query that no client waits for


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # not begun yet, or opened and unlinked
        return 0


async def _send_file(
    document: IO[bytes], size: int, output_format: str, reply: Reply
) -> web.StreamResponse:
    if size <= HELD_IN_MEMORY_BYTES:
        return await reply.send_whole(document.read(), output_format)
    await reply.start(output_format)
    while block := document.read(HELD_BYTES):
        await reply.write(block)
    return await reply.end()


async def _send_spooled(
    job: EngineJob, pieces: Pieces, block: bytes, output_format: str, reply: Reply
) -> web.StreamResponse:
    """`wait_end_of_query=1`: hold the result, on disk beyond a few megabytes, until it is whole."""
    with (
        job.space.claimed() as claim,
        tempfile.SpooledTemporaryFile(max_size=HELD_IN_MEMORY_BYTES, dir=".") as spool,
    ):
        spool.write(block)
        size = await job.run(lambda connection: pieces.drain(connection, spool, claim))
        spool.seek(0)
        return await _send_file(spool, size, output_format, reply)


def _count(reply: Reply, result: EngineResult) -> None:
    summary = reply.summary
    summary.read_rows, summary.read_bytes = storage_read(result)
    summary.result_rows = result.rows_read()
    summary.result_bytes = result.bytes_read()
    summary.written_rows = result.rows_written()
    summary.written_bytes = result.bytes_written()
