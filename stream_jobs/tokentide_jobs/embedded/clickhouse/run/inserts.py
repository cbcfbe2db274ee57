"""INSERT with data: the body goes to a file beside the tables, and the engine reads that file.

The engine's streaming insert hides every error of the write stage (a full memory limit, a throwing
view, a constraint) and reports success for rows that were dropped; `FROM INFILE` raises them as the
server does. Deduplication, views and parts are the server's; a cut-off body inserts nothing, and a
slow one holds nothing but its file.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from ..access.statement_limits import WRITER_LIMITS
from ..engine.waiting_space import writing_to_disk
from ..exceptions import ClickHouseError
from ..literals import quote

if TYPE_CHECKING:
    from aiohttp import web

    from ..access.statement import Statement
    from ..engine.connection import EngineConnection, EngineResult
    from ..engine.pool import EngineJob
    from ..response.reply import Reply

SPOOL_PREFIX: Final = "insert-"
"""Beginning of the names of the files that bodies wait in; left-overs of a crash carry it too."""


@contextmanager
def spool_file() -> Iterator[IO[bytes]]:
    """Open a file in the data directory for the data of one INSERT; it is gone afterwards."""
    with writing_to_disk():
        named = tempfile.NamedTemporaryFile(prefix=SPOOL_PREFIX, dir=".")  # noqa: SIM115  # closed below
    with named as spool:
        yield spool


async def spool_body(statement: Statement, body: AsyncIterator[bytes], spool: IO[bytes]) -> None:
    """Write the statement's own data and then the body to ``spool``.

    Raises:
        ClickHouseError: 210 when the body ends early, 243 when the disk is full.
    """
    try:
        with writing_to_disk(spool):
            spool.write(statement.inline_data)
        async for piece in body:
            with writing_to_disk(spool):
                spool.write(piece)
    except OSError as exc:  # of the connection: those of the disk have codes of their own
        what = exc.strerror or type(exc).__name__
        raise ClickHouseError(
            210, f"The request body ended early: {what}; nothing was inserted"
        ) from exc
    with writing_to_disk(spool):
        spool.flush()


def short_values(statement: Statement, spool: IO[bytes]) -> bytes | None:
    """Return the data of an INSERT in VALUES if it is as short as a statement may be."""
    if statement.insert_format != "Values":
        return None
    data = Path(spool.name)
    return data.read_bytes() if data.stat().st_size <= WRITER_LIMITS.size_bytes else None


async def run_insert(
    job: EngineJob,
    statement: Statement,
    spool: IO[bytes],
    reply: Reply,
    prepare: Callable[[EngineConnection], None],
) -> web.StreamResponse:
    """Insert what was spooled; answers when the rows are stored."""
    job.killable = False
    sql = f"{statement.sql} FROM INFILE {quote(spool.name)} COMPRESSION 'none'"
    sql = f"{sql} FORMAT {statement.insert_format}"

    def work(connection: EngineConnection) -> EngineResult:
        prepare(connection)
        result = connection.query(sql.encode(errors="surrogateescape"), "Null")
        job.write_failures.end_if_any()
        return result

    result = await job.run(work)
    summary = reply.summary
    summary.written_rows = summary.result_rows = result.rows_written()
    summary.written_bytes = summary.result_bytes = result.bytes_written()
    summary.read_rows, summary.read_bytes = summary.written_rows, summary.written_bytes
    return await reply.send_whole(b"", None)
