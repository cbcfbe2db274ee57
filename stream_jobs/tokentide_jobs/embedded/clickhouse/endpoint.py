"""The HTTP interface: routes requests to queries and inserts, and exceptions to responses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final

from aiohttp import web

from tokentide_jobs.web_guard import refusal

from .access.accounts import Accounts, User
from .access.disk_limit import check_free_space
from .access.inspection import Inspection
from .access.inspector import EXPRESSION_SETTINGS
from .access.policy import check, is_quick_write
from .access.statement import Statement
from .engine.pool import Engine, EngineJob, Lane
from .engine.waiting_space import WaitingSpace
from .exceptions import ClickHouseError
from .literals import quote
from .log_rate import LineRate
from .request.query_request import QueryRequest, read_request
from .request.statement_reader import StatementReader
from .request.time_limit import limit_time
from .response.reply import Reply, error_response
from .run.client_sessions import Session, Sessions, snapshot
from .run.external_tables import ExternalTables, memory_budget
from .run.inserts import run_insert, short_values, spool_body, spool_file
from .run.kill import RunningQueries
from .run.prologue import prepare
from .run.queries import run_query
from .run.shared_budget import tree_budget

log = logging.getLogger(__name__)
log.addFilter(LineRate())

_SESSION_SWEEP_S: Final = 5.0

MAX_REQUESTS: Final = 256
"""Requests in progress of accounts that only read, and of the others; half-sent ones are among
them. More are refused with code 202."""


class Endpoint:
    """Handlers over one engine.

    Attributes:
        port: Where it listens, known once it does; requests must name it.
    """

    def __init__(
        self,
        engine: Engine,
        accounts: Accounts,
        *,
        body_timeout_s: float,
        external_space: WaitingSpace,
        external_memory_bytes: int,
        min_free_bytes: int = 0,
    ) -> None:
        self.port = 0
        self._min_free_bytes = min_free_bytes
        self._engine = engine
        self._accounts = accounts
        self._inspection = Inspection(engine.open)
        self._reader = StatementReader(self._inspection, body_timeout_s, external_space)
        self._running = RunningQueries()
        self._readers_trees = tree_budget()
        # Those who only read take no memory from the others.
        self._external_memory = {
            only_reads: memory_budget(external_memory_bytes) for only_reads in (True, False)
        }
        self._sessions = Sessions()
        self._requests = Counter[bool]()

    def application(self) -> web.Application:
        """Build the aiohttp application with every route."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/ping", self.ping)
        app.router.add_get("/replicas_status", self.ping)
        for method in ("GET", "POST"):
            app.router.add_route(method, "/", self.query)
        app.cleanup_ctx.append(self._sweep_sessions)
        return app

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Keep pages of other origins out."""
        refused = refusal(request.headers, request.raw_path, self.port)
        if refused is not None:
            return web.Response(status=403, text=f"{refused}\n")
        return await handler(request)

    async def ping(self, request: web.Request) -> web.Response:
        """`Ok.` while the process lives: it has no replicas that could lag."""
        return web.Response(text="Ok.\n", content_type="text/html", charset="UTF-8")

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Run whatever the request asks for."""
        if request.method == "GET" and not request.query_string:
            return await self.ping(request)
        reply: Reply | None = None
        try:
            asked = read_request(request, self._accounts)
            reply = Reply(request, asked, self._engine)
            with self._in_progress(asked.user):
                return await self._answer(request, asked, reply)
        except web.HTTPException:
            raise
        except Exception as error:
            if not isinstance(error, ClickHouseError):
                if request.transport is None or request.transport.is_closing():
                    raise
                log.exception("a request failed")
            reported = _as_clickhouse_error(error)
            if reply is None:
                return error_response(reported, request, self._engine)
            return await reply.fail(reported)

    @contextmanager
    def _in_progress(self, user: User) -> Iterator[None]:
        """Bound the requests in progress: those of readers take no place of a writer."""
        if self._requests[user.readonly] >= MAX_REQUESTS:
            raise ClickHouseError(202, f"Too many simultaneous requests: {MAX_REQUESTS}")
        self._requests[user.readonly] += 1
        try:
            yield
        finally:
            self._requests[user.readonly] -= 1

    async def _answer(
        self, request: web.Request, asked: QueryRequest, reply: Reply
    ) -> web.StreamResponse:
        with ExitStack() as keeping:
            statement, body = await self._reader.read(request, asked, keeping)
            return await self._answer_statement(asked, statement, body, reply)

    async def _answer_statement(
        self,
        asked: QueryRequest,
        statement: Statement,
        body: AsyncIterator[bytes],
        reply: Reply,
    ) -> web.StreamResponse:
        check(statement, asked.user, only_reads=asked.readonly > 0)
        limit_time(asked, statement)
        check_free_space(statement, Path(), self._min_free_bytes)
        await self._settle_expressions(asked, statement)
        with self._running.entered(asked.query_id, asked.user.name) as marker:
            if not statement.takes_data:
                return await self._run(asked, statement, reply, marker, None)
            # The body is read before anything is held: a slow client takes no lane from others.
            with spool_file() as spool:
                await spool_body(statement, body, spool)
                values = short_values(statement, spool)
                if statement.insert_format == "Values" and not (
                    values is not None and await self._values_are_checked(asked, values)
                ):
                    asked.forced_settings["input_format_values_interpret_expressions"] = "0"
                return await self._run(asked, statement, reply, marker, spool)

    async def _settle_expressions(self, asked: QueryRequest, statement: Statement) -> None:
        for name in EXPRESSION_SETTINGS:
            literal = statement.settings.get(name)
            if literal is None and name in asked.settings:
                literal = quote(asked.settings[name])
            asked.settings.pop(name, None)
            if literal is not None:
                statement.settings[name] = await self._settled(asked, name, literal)

    async def _settled(self, asked: QueryRequest, name: str, literal: str) -> str:
        return await self._inspection.run(
            asked.user, lambda one: one.settle_expressions(name, literal)
        )

    async def _values_are_checked(self, asked: QueryRequest, values: bytes) -> bool:
        return await self._inspection.run(asked.user, lambda one: one.values_are_checked(values))

    async def _run(
        self,
        asked: QueryRequest,
        statement: Statement,
        reply: Reply,
        marker: str,
        spool: IO[bytes] | None,
    ) -> web.StreamResponse:
        lane: Lane = "write" if is_quick_write(statement) else "read"
        if asked.user.readonly:
            lane = "reader"
        memory = self._external_memory[asked.user.readonly]
        async with (
            self._readers_trees.held(statement.nodes if asked.user.readonly else 0),
            ExternalTables.with_memory(asked.tables, memory) as external,
            self._engine.request(lane, marker) as job,
        ):
            external.stay_with(job)
            # A read-only connection cannot take back its settings: readers' sessions hold nothing.
            if asked.session_id and not asked.user.readonly:
                await self._enter_session(job, asked, statement, external)
            ready = partial(
                prepare,
                request=asked,
                statement=statement,
                marker=marker,
                external=external,
            )
            if spool is not None:
                return await run_insert(job, statement, spool, reply, ready)
            if statement.kind == "KillQueryQuery":
                running = self._running
                statement.sql = await job.run(lambda c: running.translate_kill(statement, c))
            return await run_query(job, asked, statement, reply, ready)

    async def _enter_session(
        self, job: EngineJob, asked: QueryRequest, statement: Statement, external: ExternalTables
    ) -> None:
        session = await self._sessions.acquire(asked, job)
        job.after_close(lambda: self._leave_session(asked, session))
        if session.connection is None and statement.leaves_state:
            session.connection = self._engine.open()
        if session.connection is not None:
            # Read-only for one request would be read-only for good; its kind has been checked.
            asked.readonly = 0
            job.adopt(session.connection)
            job.at_close(external.drop)
            job.at_close(await job.run(lambda c: snapshot(c, asked, statement)))

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


def _as_clickhouse_error(error: Exception) -> ClickHouseError:
    """Describe an unexpected error; its own text may hold what no client should see."""
    if isinstance(error, ClickHouseError):
        return error
    what = error.strerror if isinstance(error, OSError) else None
    return ClickHouseError(1002, f"The endpoint failed: {what or type(error).__name__}")
