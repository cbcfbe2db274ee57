"""The HTTP interface: routes requests to queries and inserts, and exceptions to responses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from .access.accounts import Accounts
from .access.policy import check
from .access.sql_text import Statement, parse
from .engine.pool import Call, Engine, Lane
from .exceptions import ClickHouseError
from .request.bodies import pieces, whole
from .request.query_request import QueryRequest, read_request, take_field
from .response.reply import Reply, error_response
from .run.client_sessions import Session, Sessions, leaves_state, snapshot
from .run.inserts import run_insert
from .run.kill import RunningQueries
from .run.queries import run_query

_SESSION_SWEEP_S: Final = 5.0
_BUSY_SESSION_WAIT_S: Final = 2.0
_BUSY_SESSION_POLL_S: Final = 0.005
"""A client may send its next request while the thread still closes the one before."""

_LONG_SQL_BYTES: Final = 1 << 16
"""Longer statements are read on a thread: the event loop must stay free for inserts."""

_QUICK_WRITES: Final = frozenset(
    {b"INSERT", b"CREATE", b"ALTER", b"DROP", b"TRUNCATE", b"RENAME", b"DELETE", b"UPDATE"}
    | {b"SYSTEM", b"ATTACH", b"DETACH", b"EXCHANGE", b"KILL", b"SET", b"USE"}
)
"""Statements that must not wait behind readers. OPTIMIZE may take long and shares their lanes."""


class Endpoint:
    """Handlers over one engine."""

    def __init__(self, engine: Engine, accounts: Accounts) -> None:
        self._engine = engine
        self._accounts = accounts
        self._running = RunningQueries()
        self._sessions = Sessions()

    def application(self) -> web.Application:
        """Build the aiohttp application with every route."""
        app = web.Application(client_max_size=1 << 40)
        app.router.add_get("/ping", self.ping)
        app.router.add_get("/replicas_status", self.ping)
        for method in ("GET", "POST"):
            app.router.add_route(method, "/", self.query)
        app.cleanup_ctx.append(self._sweep_sessions)
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
            query_id = request.query.get("query_id", "")
            return error_response(error, query_id, self._engine)
        reply = Reply(request, asked, self._engine)
        try:
            statement, body = await self._statement(request, asked)
            # A session's connection cannot be read-only for one GET, so its statement is judged.
            only_reads = asked.is_get and bool(asked.session_id)
            asked.literal_settings.update(check(statement, asked.user, only_reads=only_reads))
            with self._running.entered(asked.query_id) as marker:
                return await self._run(asked, statement, body, reply, marker)
        except ClickHouseError as error:
            return await reply.fail(error)

    async def _run(
        self,
        asked: QueryRequest,
        statement: Statement,
        body: AsyncIterator[bytes],
        reply: Reply,
        marker: str,
    ) -> web.StreamResponse:
        lane: Lane = "write" if statement.keyword in _QUICK_WRITES else "read"
        async with self._engine.request(lane, marker) as call:
            # A read-only connection cannot take back its settings: readers' sessions hold nothing.
            if asked.session_id and not asked.user.readonly:
                await self._enter_session(call, asked, statement)
            if statement.takes_data:
                return await run_insert(call, asked, statement, body, reply)
            if statement.keyword == b"KILL":
                running = self._running
                statement.sql = await call.run(lambda c: running.translate_kill(statement, c))
            return await run_query(call, asked, statement, reply)

    async def _enter_session(self, call: Call, asked: QueryRequest, statement: Statement) -> None:
        give_up_s = time.monotonic() + _BUSY_SESSION_WAIT_S
        while True:
            try:
                session = self._sessions.acquire(asked)
                break
            except ClickHouseError as error:
                if error.code != 373 or time.monotonic() > give_up_s:
                    raise
            await asyncio.sleep(_BUSY_SESSION_POLL_S)
        call.after_close(lambda: self._leave_session(asked, session))
        if session.connection is None and leaves_state(statement):
            session.connection = self._engine.open()
        if session.connection is not None:
            asked.in_session = True
            call.adopt(session.connection)
            call.at_close(await call.run(lambda connection: snapshot(connection, asked)))

    def _leave_session(self, asked: QueryRequest, session: Session) -> None:
        connection = self._sessions.release(asked, session)
        if connection is not None:
            self._engine.spawn(self._engine.discard([connection]))

    async def _sweep_sessions(self, app: web.Application) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(_SESSION_SWEEP_S)
                await self._engine.discard(self._sessions.expired(time.monotonic()))

        task = asyncio.create_task(sweep())
        yield
        task.cancel()
        await self._engine.discard(self._sessions.expired(float("inf")))

    async def _statement(
        self, request: web.Request, asked: QueryRequest
    ) -> tuple[Statement, AsyncIterator[bytes]]:
        """Return the statement, and the part of the body that is insert data."""
        if request.content_type == "multipart/form-data":
            return await _parse(await _read_form(request, asked)), _nothing()
        if asked.sql_in_url.strip():
            statement = await _parse(asked.sql_in_url)
            if statement.takes_data:
                return statement, pieces(request, framed=asked.framed_body)
            rest = await whole(request, framed=asked.framed_body)
            if rest:
                statement = await _parse(asked.sql_in_url + b"\n" + rest)
            return statement, _nothing()
        # The SQL is in the body, where an INSERT's data follows it: read on until that is clear.
        body = pieces(request, framed=asked.framed_body)
        first = await anext(body, b"")
        statement = await _parse(first)
        if statement.takes_data:
            return statement, body
        rest = b"".join([piece async for piece in body])
        return (await _parse(first + rest) if rest else statement), _nothing()


async def _parse(sql: bytes) -> Statement:
    if len(sql) <= _LONG_SQL_BYTES:
        return parse(sql)
    return await asyncio.to_thread(parse, sql)


async def _read_form(request: web.Request, asked: QueryRequest) -> bytes:
    """Query and parameters as form fields, as clickhouse-connect sends them when asked to."""
    sql = asked.sql_in_url
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            raise ClickHouseError(
                48, f"External data ({name}) is not supported by the embedded ClickHouse"
            )
        text = value if isinstance(value, str) else bytes(value).decode()
        if name == "query":
            sql = sql + b"\n" + text.encode() if sql else text.encode()
        else:
            take_field(asked, name, text)
    return sql


async def _nothing() -> AsyncIterator[bytes]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece
