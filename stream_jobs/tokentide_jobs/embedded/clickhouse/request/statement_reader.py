"""The statement of a request, wherever it stands: in the URL, in the body, or in a form.

What follows an INSERT in the body is its data and stays a stream. External data of a form is
inspected here too: its columns come as text from the client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack

from aiohttp import web

from ..access.external_table import ExternalTable, definition, input_format
from ..access.inspection import Inspection
from ..access.inspector import Inspector
from ..access.seam import Seam
from ..access.statement import Statement
from ..engine.waiting_space import WaitingSpace
from ..exceptions import ClickHouseError
from ..wire.native_types import check_native
from .bodies import pieces
from .form import FormFile, read_form
from .query_request import FORM, QueryRequest
from .read_deadline import ReadDeadline


class StatementReader:
    """Reads statements of requests.

    Args:
        inspection: Asks the engine what a text is.
        body_timeout_s: Longest pause in a body; a slow body is bounded too, see `ReadDeadline`.
        space: What external data may take of the disk.
    """

    def __init__(self, inspection: Inspection, body_timeout_s: float, space: WaitingSpace) -> None:
        self._inspection = inspection
        self._body_timeout_s = body_timeout_s
        self._space = space

    async def read(
        self, request: web.Request, asked: QueryRequest, keeping: ExitStack
    ) -> tuple[Statement, AsyncIterator[bytes]]:
        """Return the statement, and the part of the body that is insert data.

        Args:
            request: Its body is read as far as it is not insert data.
            asked: What the URL asks for; a form adds to it.
            keeping: Holds the files of external data.

        Raises:
            ClickHouseError: What is wrong with the body or the statement, or refused in it.
        """
        if request.content_type == FORM:
            claim = keeping.enter_context(self._space.claimed())
            deadline = ReadDeadline(self._body_timeout_s, "a form")
            sql, files = await read_form(request, asked, deadline, claim, keeping)
            asked.tables = tuple([await self._read_table(file, asked) for file in files])
            return await self._read(sql, asked), _nothing()
        deadline = ReadDeadline(self._body_timeout_s, "the request body")
        body = pieces(request, asked, deadline)
        # Without SQL in the URL it is in the body, where an INSERT's data follows it.
        is_in_url = bool(asked.sql_in_url.strip())
        begun = asked.sql_in_url if is_in_url else await anext(body, b"")
        seam = await self._inspection.run(asked.user, lambda one: one.find_seam(begun))
        if seam is not None:
            return await self._read_insert(seam, asked), body
        rest = await _bounded(body, asked.user.limits.size_bytes)
        between = b"\n" if is_in_url and rest else b""
        return await self._read(begun + between + rest, asked), _nothing()

    async def _read_table(self, file: FormFile, asked: QueryRequest) -> ExternalTable:
        data_format = input_format(file.input_format, file.name)
        create = await self._inspection.run(
            asked.user,
            lambda one: definition(one, file.name, file.columns, file.types, data_format),
        )
        if data_format == "Native":
            await self._inspection.run(asked.user, lambda _: check_native(file.data, file.name))
        return ExternalTable(file.name, create, data_format, file.data.name, file.size_bytes)

    async def _read(self, sql: bytes, asked: QueryRequest) -> Statement:
        """Read SQL that is whole; an INSERT in it may carry its data."""
        if not sql.strip():
            raise ClickHouseError(62, "Syntax error: Empty query")

        def read(inspector: Inspector) -> Statement:
            seam = inspector.find_seam(sql)
            if seam is not None:
                return inspector.read_insert(seam, asked.parameters)
            return inspector.read(sql, asked.parameters)

        return await self._inspection.run(asked.user, read)

    async def _read_insert(self, seam: Seam, asked: QueryRequest) -> Statement:
        return await self._inspection.run(
            asked.user, lambda one: one.read_insert(seam, asked.parameters)
        )


async def _bounded(body: AsyncIterator[bytes], limit: int) -> bytes:
    """Join a body that is SQL; what is too long for that is not read to its end."""
    held = b""
    async for piece in body:
        held += piece
        if len(held) > limit:
            break
    return held


async def _nothing() -> AsyncIterator[bytes]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece
