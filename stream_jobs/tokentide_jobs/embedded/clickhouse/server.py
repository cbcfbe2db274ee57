"""The HTTP interface: routes requests to queries and inserts, and turns exceptions into responses."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from aiohttp import web

from .bodies import pieces, whole
from .errors import ClickHouseError
from .inserts import run_insert
from .pool import Engine
from .queries import run_query
from .requests import QueryRequest, read_request, take_field
from .responses import Reply, error_response
from .sql_text import Statement, parse
from .users import Accounts

log = logging.getLogger(__name__)

_MAX_HEADER_BYTES = 1 << 20
"""Longest URL accepted: queries travel in it (the server's http_max_uri_size is 1 MiB)."""

_READ_BUFFER_BYTES = 1 << 20


class Endpoint:
    """Handlers over one engine."""

    def __init__(self, engine: Engine, accounts: Accounts) -> None:
        self._engine = engine
        self._accounts = accounts

    def application(self) -> web.Application:
        """The aiohttp application with every route."""
        app = web.Application(client_max_size=1 << 40)
        app.router.add_get("/ping", self.ping)
        app.router.add_get("/replicas_status", self.ping)
        for method in ("GET", "POST"):
            app.router.add_route(method, "/", self.query)
        return app

    async def ping(self, request: web.Request) -> web.Response:
        """`Ok.` while the process lives: it has no replicas that could lag."""
        return web.Response(text="Ok.\n", content_type="text/html", charset="UTF-8")

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Run whatever the request asks for."""
        if request.method == "GET" and not request.query_string:
            return await self.ping(request)
        try:
            asked = read_request(request, self._accounts)
        except ClickHouseError as error:
            text = error.body(self._engine.version)
            query_id = request.query.get("query_id", "")
            return error_response(error, text, query_id, self._engine)
        reply = Reply(request, asked, self._engine)
        try:
            return await self._run(request, asked, reply)
        except ClickHouseError as error:
            return await reply.fail(error)

    async def _run(
        self, request: web.Request, asked: QueryRequest, reply: Reply
    ) -> web.StreamResponse:
        statement, body = await self._statement(request, asked)
        _refuse(statement)
        if statement.takes_data:
            async with self._engine.request("write") as call:
                return await run_insert(call, asked, statement, body, reply)
        lane = "write" if statement.keyword in _WRITING else "read"
        async with self._engine.request(lane) as call:  # type: ignore[arg-type]
            return await run_query(call, asked, statement, reply)

    async def _statement(
        self, request: web.Request, asked: QueryRequest
    ) -> tuple[Statement, AsyncIterator[bytes]]:
        """The statement, and the part of the body that is insert data."""
        if request.content_type == "multipart/form-data":
            return await self._from_form(request, asked)
        body = pieces(request, framed=asked.framed_body)
        if asked.sql_in_url.strip():
            statement = parse(asked.sql_in_url)
            if statement.takes_data:
                return statement, body
            rest = await whole(request, framed=asked.framed_body)
            if rest:
                statement = parse(asked.sql_in_url + b"\n" + rest)
            return statement, _nothing()
        # The SQL is in the body: an INSERT's data follows it there, so read on until it is clear.
        first = b""
        async for piece in body:
            first = piece
            break
        statement = parse(first)
        if statement.takes_data:
            return statement, body
        rest = first + b"".join([piece async for piece in body])
        return (parse(rest) if len(rest) > len(first) else statement), _nothing()

    async def _from_form(
        self, request: web.Request, asked: QueryRequest
    ) -> tuple[Statement, AsyncIterator[bytes]]:
        """Query and parameters as form fields, as clickhouse-connect sends them on request."""
        sql = asked.sql_in_url
        form = await request.post()
        for name, value in form.items():
            if isinstance(value, web.FileField):
                raise ClickHouseError(
                    48, f"External data ({name}) is not supported by the embedded ClickHouse"
                )
            text = value if isinstance(value, str) else bytes(value).decode()
            if name == "query":
                sql = sql + b"\n" + text.encode() if sql else text.encode()
            else:
                take_field(asked, name, text)
        return parse(sql), _nothing()


_WRITING = frozenset(
    {
        b"INSERT",
        b"CREATE",
        b"ALTER",
        b"DROP",
        b"TRUNCATE",
        b"RENAME",
        b"DELETE",
        b"UPDATE",
        b"SYSTEM",
    }
    | {b"ATTACH", b"DETACH", b"EXCHANGE", b"KILL", b"SET", b"USE"}
)
"""Statements that must not wait behind readers; OPTIMIZE may take long and shares their lanes."""


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _refuse(statement: Statement) -> None:
    """Refuse what the server refuses over HTTP but the engine, made for one process, would run."""
    if statement.statements == 0:
        raise ClickHouseError(62, "Empty query")
    if statement.statements > 1:
        raise ClickHouseError(62, "Syntax error (Multi-statements are not allowed)")
    if {b"INTO", b"OUTFILE"} <= statement.words:
        raise ClickHouseError(62, "INTO OUTFILE is a clause of the command-line client only")
    if {b"FROM", b"INFILE"} <= statement.words:
        raise ClickHouseError(62, "FROM INFILE is a clause of the command-line client only")
