"""The engine and its lanes: each request gets a connection of its own, on a thread of its own.

A chDB connection runs one query at a time and keeps `SET` state, so sharing one would let a slow
reader hold up inserts and let settings leak. A connection costs a tenth of a millisecond: it is
opened for one request and closed after it. Lanes are single threads: accounts that only read,
queries of those that may write, inserts and control have their own, so that no number of readers
can take the thread that a worker or the watch over this process needs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..exceptions import ENGINE_ERRORS, ClickHouseError, from_engine
from ..literals import quote
from .connection import EngineConnection
from .memory_budget import MemoryBudget
from .set_aside import LAST_GOOD_WRITES
from .waiting_space import WaitingSpace
from .write_failures import WriteFailures

log = logging.getLogger(__name__)

Lane = Literal["reader", "read", "write", "control"]
T = TypeVar("T")

MARKER_SETTING = "promql_table"
"""A text setting without effect on SQL: it marks a query in system.processes so that KILL finds it.

chDB offers neither query ids nor custom settings, and log_comment belongs to the client. The marker
begins with the client's query id and ends with its account, so system.query_log can be searched by
both: to the engine all accounts are one.
"""

QUEUE_WAIT_S = 30.0
"""How long a request may wait for a lane before it is refused with code 202."""

KILL_RETRY_S = 0.5
"""Pause between two attempts to stop a query whose client is gone."""


CLOSE_WAIT_S = 10.0
"""How long close() waits for queries that were asked to stop."""


class Engine:
    """Owner of the data directory: opens connections, runs them on lanes, kills by marker.

    Attributes:
        home: The directory that file names of the engine and of inserts are relative to.
        write_failures: Ends the process when the engine could not write.
    """

    def __init__(
        self,
        data_dir: Path,
        config_file: Path,
        lanes: dict[Lane, int],
        budget: MemoryBudget,
        space: WaitingSpace,
    ) -> None:
        from chdb import _chdb

        self._connect: Any = vars(_chdb)["connect"]
        self._budget = budget
        self._space = space
        self.home = str(Path.cwd())
        self._dsn = f"file:{data_dir}?config-file={config_file}&implicit_select=0&log_queries=0"
        # While this connection is open the engine stays up; without it, it would stop and start
        # again between any two requests.
        self._anchor = self.open()
        self.write_failures = WriteFailures(self.open, LAST_GOOD_WRITES)
        # Makes system.query_log, which a view may name before anything was logged.
        self._anchor.query("SYSTEM FLUSH LOGS", "Null")
        self.version = self._text("SELECT version()")
        self.timezone = self._text("SELECT timezone()")
        self.display_name = self._text("SELECT displayName()")
        self._executors = {
            lane: [ThreadPoolExecutor(1, f"{lane}-{n}") for n in range(count)]
            for lane, count in lanes.items()
        }
        self._free: dict[Lane, asyncio.LifoQueue[ThreadPoolExecutor]] = {}
        for lane, executors in self._executors.items():
            self._free[lane] = asyncio.LifoQueue()
            for executor in executors:
                self._free[lane].put_nowait(executor)
        self._background: set[asyncio.Task[None]] = set()

    def open(self) -> EngineConnection:
        """Open a connection in the server's default state; takes a tenth of a millisecond."""
        connection: EngineConnection = self._connect(self._dsn)
        return connection

    def _text(self, sql: str) -> str:
        return bytes(self._anchor.query(sql, "TSVRaw").bytes()).decode().rstrip("\n")

    @asynccontextmanager
    async def request(self, lane: Lane, marker: str) -> AsyncIterator[EngineJob]:
        """Lend a connection and a thread to one request until the block ends.

        Args:
            lane: Which threads may run it.
            marker: Name of the running query, for KILL; unique among running queries.

        Raises:
            ClickHouseError: 202 when no thread came free in QUEUE_WAIT_S.
        """
        free = self._free[lane]
        try:
            executor = free.get_nowait() if not free.empty() else await _wait(free)
        except TimeoutError:
            raise ClickHouseError(
                202, f"Too many simultaneous queries: no {lane} lane came free in {QUEUE_WAIT_S} s"
            ) from None
        job = EngineJob(self.open, executor, marker, self._budget, self._space, self.write_failures)
        try:
            yield job
        finally:
            if job.is_idle:
                # The common case: closing takes microseconds, and the next request of this client
                # must not find its session or query id still in use.
                job.close_soon()
                free.put_nowait(executor)
            else:
                self.spawn(self._retire(job, free))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in the background; close() waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _retire(self, job: EngineJob, free: asyncio.LifoQueue[ThreadPoolExecutor]) -> None:
        """Give the lane back once its thread is idle; an abandoned query is killed first."""
        try:
            while not job.is_idle:
                if job.killable:
                    await self.kill(job.marker)
                # A query killed before it was registered is missed: look again.
                await job.settled(KILL_RETRY_S if job.killable else None)
            job.close_soon()
        finally:
            free.put_nowait(job.executor)

    async def kill(self, marker: str) -> None:
        """Cancel the running query that carries ``marker``; nothing happens when there is none."""
        sql = f"KILL QUERY WHERE Settings['{MARKER_SETTING}'] = {quote(marker)} ASYNC"
        executor = self._executors["control"][0]
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(executor, self._control, sql)

    async def discard(self, connections: Sequence[EngineConnection]) -> None:
        """Close connections that no request holds."""
        loop = asyncio.get_running_loop()
        executor = self._executors["control"][0]
        for connection in connections:
            await loop.run_in_executor(executor, connection.close)

    def _control(self, sql: str) -> None:
        connection = self.open()
        try:
            connection.query(sql, "Null")
        except ENGINE_ERRORS as exc:
            log.warning("control query failed: %s", exc)
        finally:
            connection.close()

    async def interrupt(self) -> None:
        """Stop every running SELECT; inserts and DDL are left to end by themselves."""
        sql = f"KILL QUERY WHERE Settings['{MARKER_SETTING}'] != '' AND query_kind = 'Select' ASYNC"
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executors["control"][0], self._control, sql)

    async def close(self) -> bool:
        """Wait for every lane and shut the engine down; False when a query would not stop."""
        await self.interrupt()
        if self._background:
            await asyncio.wait(self._background, timeout=CLOSE_WAIT_S)
        if self._background:
            return False
        for executors in self._executors.values():
            for executor in executors:
                executor.shutdown(wait=True, cancel_futures=True)
        self.write_failures.close()
        self._anchor.close()
        return True


async def _wait(free: asyncio.LifoQueue[ThreadPoolExecutor]) -> ThreadPoolExecutor:
    return await asyncio.wait_for(free.get(), QUEUE_WAIT_S)


class EngineJob:
    """One request's connection; its methods run on the request's own thread, in order.

    Attributes:
        killable: True when the query may be stopped because no client waits for it any more.
        budget: What results of all requests may hold together.
        space: What results of all requests may take on disk.
        write_failures: To be asked before a statement that writes is answered.
    """

    def __init__(
        self,
        open_connection: Callable[[], EngineConnection],
        executor: ThreadPoolExecutor,
        marker: str,
        budget: MemoryBudget,
        space: WaitingSpace,
        write_failures: WriteFailures,
    ) -> None:
        self.executor = executor
        self.write_failures = write_failures
        self.budget = budget
        self.space = space
        self.marker = marker
        self.killable = True
        self._open = open_connection
        self._pending: asyncio.Future[Any] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._connection: EngineConnection | None = None
        self._keep_open = False
        self._undo: list[Callable[[EngineConnection], None]] = []
        self._after: list[Callable[[], None]] = []

    @property
    def is_idle(self) -> bool:
        """True when nothing of this request runs on the thread."""
        return self._pending is None or self._pending.done()

    def adopt(self, connection: EngineConnection) -> None:
        """Run on a connection that outlives the request (a session's)."""
        self._connection = connection
        self._keep_open = True

    @property
    def keeps_connection(self) -> bool:
        """True when the connection outlives the request."""
        return self._keep_open

    def beside(self) -> AbstractContextManager[EngineConnection]:
        """Lend a second connection, on the thread that asks."""
        return closing(self._open())

    async def run(self, work: Callable[[EngineConnection], T]) -> T:
        """Run ``work`` with the connection, opening it first if need be.

        Raises:
            ClickHouseError: What the engine raised.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self.executor, self._work, work)
        self._pending = future
        # The thread cannot be interrupted: a cancelled request leaves the future to the engine.
        return await asyncio.shield(future)

    async def settled(self, timeout_s: float | None) -> None:
        """Wait until the thread is idle, or the time is over."""
        if self._pending is not None:
            await asyncio.wait([self._pending], timeout=timeout_s)
            if self._pending.done() and not self._pending.cancelled():
                self._pending.exception()  # no caller is left to handle it

    def at_close(self, undo: Callable[[EngineConnection], None]) -> None:
        """Run ``undo`` on the thread before the connection closes, however the request ends."""
        self._undo.append(undo)

    def after_close(self, work: Callable[[], None]) -> None:
        """Run ``work`` in the event loop once the request has let go of its connection."""
        self._after.append(work)

    def _work(self, work: Callable[[EngineConnection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._open()
            return work(self._connection)
        except ENGINE_ERRORS as exc:
            raise from_engine(exc) from exc

    @property
    def is_closing(self) -> bool:
        """True once nothing more of this request will run but its end."""
        return self._closing is not None

    async def closed(self) -> None:
        """Wait for the end of a request that is closing."""
        if self._closing is not None:
            await asyncio.wait([self._closing])

    def close_soon(self) -> None:
        """Queue the end of the request on its thread, before anything later on that thread."""
        loop = asyncio.get_running_loop()
        self._closing = loop.run_in_executor(self.executor, self._close)
        self._closing.add_done_callback(self._closed)

    def _closed(self, _: asyncio.Future[None]) -> None:
        for work in self._after:
            work()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        for undo in self._undo:
            try:
                undo(connection)
            except ENGINE_ERRORS as exc:
                log.debug("undo at the end of a request: %s", exc)
        if not self._keep_open:
            connection.close()
