"""The engine and its lanes: each request gets a connection of its own, on a thread of its own.

A chDB connection runs one query at a time and keeps `SET` state, so sharing one would let a slow
reader hold up inserts and let settings leak. A connection costs a tenth of a millisecond: it is opened
for one request and closed after it. Lanes are single threads; readers, writers and control have their
own, so that no number of readers can take the thread an insert needs.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .errors import ClickHouseError, from_engine

if TYPE_CHECKING:
    from chdb._chdb import connect as EngineConnection

log = logging.getLogger(__name__)

Lane = Literal["read", "write", "control"]
T = TypeVar("T")

MARKER_SETTING = "promql_table"
"""A text setting without effect on SQL: it marks a query in system.processes so that KILL finds it.

chDB offers neither query ids nor custom settings, and log_comment belongs to the client.
"""

QUEUE_WAIT_S = 30.0
"""How long a request may wait for a lane before it is refused with code 202."""


class Engine:
    """Owner of the data directory: opens connections, runs them on lanes, kills by marker."""

    def __init__(self, data_dir: Path, config_file: Path, lanes: dict[Lane, int]) -> None:
        from chdb import _chdb

        self._connect = _chdb.connect
        self._dsn = f"file:{data_dir}?config-file={config_file}&implicit_select=0&log_queries=0"
        # While this connection is open the engine stays up; without it, it would stop and start
        # again between any two requests.
        self._anchor = self._open()
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
        self._markers = itertools.count(1)

    def _open(self) -> EngineConnection:
        return self._connect(self._dsn)

    def _text(self, sql: str) -> str:
        return bytes(self._anchor.query(sql, "TSVRaw").bytes()).decode().rstrip("\n")

    @asynccontextmanager
    async def request(self, lane: Lane) -> AsyncIterator[Call]:
        """A connection and a thread for one request; both are given back when the block ends."""
        free = self._free[lane]
        try:
            executor = await asyncio.wait_for(free.get(), QUEUE_WAIT_S)
        except TimeoutError:
            raise ClickHouseError(
                202, f"Too many simultaneous queries: no {lane} lane came free in {QUEUE_WAIT_S} s"
            ) from None
        call = Call(self, executor, f"request-{next(self._markers)}")
        try:
            yield call
        finally:
            self._spawn(self._retire(call, free))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _retire(self, call: Call, free: asyncio.LifoQueue[ThreadPoolExecutor]) -> None:
        """Give the lane back once its thread is idle; a query nobody waits for is killed first."""
        try:
            if call.pending is not None and not call.pending.done():
                if call.killable:
                    await self.kill(call.marker)
                await asyncio.wait([call.pending])
            await call.close()
        finally:
            free.put_nowait(call.executor)

    async def kill(self, marker: str) -> None:
        """Cancel the running query that carries ``marker``; nothing happens when there is none."""
        sql = f"KILL QUERY WHERE Settings['{MARKER_SETTING}'] = '{marker}' ASYNC"
        executor = self._executors["control"][0]
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(executor, self._control, sql)

    def _control(self, sql: str) -> None:
        connection = self._open()
        try:
            connection.query(sql, "Null")
        except RuntimeError as exc:
            log.warning("control query failed: %s", exc)
        finally:
            connection.close()

    async def close(self) -> None:
        """Kill what runs, wait for every lane, and shut the engine down."""
        sql = f"KILL QUERY WHERE Settings['{MARKER_SETTING}'] != '' ASYNC"
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executors["control"][0], self._control, sql)
        if self._background:
            await asyncio.wait(self._background, timeout=20)
        for executors in self._executors.values():
            for executor in executors:
                executor.shutdown(wait=True, cancel_futures=True)
        self._anchor.close()


class Call:
    """One request's connection; its methods run on the request's own thread, in order."""

    def __init__(self, engine: Engine, executor: ThreadPoolExecutor, marker: str) -> None:
        self.executor = executor
        self.marker = marker
        self.killable = True
        self.pending: asyncio.Future[Any] | None = None
        self._engine = engine
        self._connection: EngineConnection | None = None
        self._at_close: list[Callable[[EngineConnection], None]] = []

    async def run(self, work: Callable[[EngineConnection], T]) -> T:
        """Run ``work`` with the connection, opening it first if need be.

        Raises:
            ClickHouseError: What the engine raised.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self.executor, self._work, work)
        self.pending = future
        # The thread cannot be interrupted: a cancelled request leaves the future to _retire.
        return await asyncio.shield(future)

    def at_close(self, undo: Callable[[EngineConnection], None]) -> None:
        """Run ``undo`` before the connection closes, however the request ends."""
        self._at_close.append(undo)

    def _work(self, work: Callable[[EngineConnection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._engine._open()
            return work(self._connection)
        except RuntimeError as exc:
            raise from_engine(exc) from exc

    async def close(self) -> None:
        """Close the connection on its thread."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.executor, self._close)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        for undo in self._at_close:
            try:
                undo(connection)
            except RuntimeError as exc:
                log.debug("undo at close: %s", exc)
        connection.close()
