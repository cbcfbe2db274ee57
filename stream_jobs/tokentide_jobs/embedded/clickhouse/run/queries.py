"""Statements that give a result: in pieces where the format allows, else from a file."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from ..engine.result_space import HELD_IN_MEMORY_BYTES
from ..exceptions import ClickHouseError
from ..literals import quote
from ..wire import native
from ..wire.output_formats import ARROW_STREAM_END, DEFAULT_FORMAT, joiner

if TYPE_CHECKING:
    from aiohttp import web

    from ..access.statement import Statement
    from ..engine.connection import EngineConnection, EngineResult
    from ..engine.memory_budget import MemoryBudget
    from ..engine.pool import EngineJob
    from ..engine.result_space import SpaceClaim
    from ..request.query_request import QueryRequest
    from ..response.reply import Reply

HELD_BYTES: Final = 1 << 20
"""How much of a result is held back before the headers go out (the server's buffer_size)."""

RESULT_PREFIX: Final = "result-"
"""Beginning of the names of the files that whole results wait in; a crash may leave one."""

_LOOK_S: Final = 0.05
"""Pause between two looks at how long a result has become."""
_NATIVE_WHOLE_BYTES: Final = 64 << 20
_COPIES: Final = 3
"""How often a piece exists in this process while it is converted, joined and compressed."""

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
    pieces = _Pieces(statement.sql_bytes, output_format, asked.revision, join, reply, job.budget)
    job.at_close(lambda _: pieces.let_go())

    def begin(connection: EngineConnection) -> tuple[bytes, bool]:
        # One hop to the thread for all of it: most results are one piece.
        prepare(connection)
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
        return await reply.send_whole(
            native.upgrade(document.read(), asked.revision), output_format
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
        running.cancel()  # the engine stops a query that nobody waits for


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
    job: EngineJob, pieces: _Pieces, block: bytes, output_format: str, reply: Reply
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
    summary.read_rows, summary.read_bytes = _storage_read(result)
    summary.result_rows = result.rows_read()
    summary.result_bytes = result.bytes_read()
    summary.written_rows = result.rows_written()
    summary.written_bytes = result.bytes_written()


class _Pieces:
    """A streamed result; every method runs on the request's thread."""

    def __init__(
        self,
        sql: bytes,
        output_format: str,
        revision: int,
        join: Callable[[memoryview], memoryview],
        reply: Reply,
        budget: MemoryBudget,
    ) -> None:
        self._sql = sql
        self._format = output_format
        self._revision = revision if output_format == "Native" else 0
        self._join = join
        self._summary = reply.summary
        self._budget = budget
        self._taken_bytes = 0
        self._stream: Any = None
        self._sent_any = False

    def begin(self, connection: EngineConnection) -> None:
        """Start the query; the engine reports most errors only with the first piece."""
        self._stream = connection.send_query(self._sql, self._format)

    def fetch(self, connection: EngineConnection) -> tuple[bytes, bool]:
        """Fetch the next megabyte or so of the result, and whether it was the last."""
        self.let_go()
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

    def drain(self, connection: EngineConnection, spool: IO[bytes], claim: SpaceClaim) -> int:
        """Write the rest of the result behind what is in ``spool``; returns the size of all."""
        size, ended = spool.tell(), False
        while not ended:
            block, ended = self.fetch(connection)
            size += len(block)
            claim.grow_to(size)
            spool.write(block)
        return size

    def let_go(self) -> None:
        """Give the memory of the pieces back that were sent."""
        taken, self._taken_bytes = self._taken_bytes, 0
        self._budget.give_back(taken)

    def _next(self, connection: EngineConnection) -> bytes | memoryview | None:
        result = connection.streaming_fetch_result(self._stream)
        if result is None:
            return None
        needed = result.size() * _COPIES
        self._budget.take(needed)
        self._taken_bytes += needed
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
