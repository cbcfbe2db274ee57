"""A provider on 127.0.0.1: HTTP/1.1 and server-sent events over asyncio, replies as scripted.

It runs in a thread of its own, so that synchronous and asynchronous clients meet the same sockets,
the same chunks and the same broken connections that they would meet in the field.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

HANGS_S = 10.0
"""Longest silence; a test that waits so long has failed."""


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    events: Sequence[tuple[str, object]] = ()
    """Server-sent events, name (may be empty) and data, instead of a body."""
    holds_after: int | None = None
    """Stay silent after so many events, until the client has gone."""
    cuts_after: int | None = None
    """Break the connection after so many events."""
    is_silent: bool = False
    """Never answer."""


@dataclass(frozen=True)
class Request:
    """What a client has sent."""

    path: str
    headers: dict[str, str]
    body: Any


class FakeProvider:
    """Answers each request with the next reply of its script and keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.gone = threading.Event()
        """Set when a client has left a reply that is held."""
        self._script: deque[Reply] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._port = 0

    @property
    def url(self) -> str:
        """Address without path."""
        return f"http://127.0.0.1:{self._port}"

    def script(self, replies: Iterable[Reply]) -> None:
        """Start over with these replies."""
        self.requests.clear()
        self.gone.clear()
        self._script = deque(replies)

    @property
    def unused(self) -> int:
        """Number of replies that no request took."""
        return len(self._script)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    async def _start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        return server

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; returns whether the connection is good for another."""
        request = await _read_request(reader)
        self.requests.append(request)
        reply = self._script.popleft()
        if reply.is_silent:
            await self._hold(reader)
            return False
        if not reply.events:
            content = json.dumps(reply.body).encode()
            headers = {"content-type": "application/json", "content-length": str(len(content))}
            _write_head(writer, reply.status, {**headers, **reply.headers})
            writer.write(content)
            await writer.drain()
            return True
        headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        _write_head(writer, reply.status, {**headers, **reply.headers})
        for number, (name, data) in enumerate(reply.events):
            if number == reply.cuts_after:
                writer.transport.abort()
                return False
            if number == reply.holds_after:
                await self._hold(reader)
                return False
            text = data if isinstance(data, str) else json.dumps(data)
            event = (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
            writer.write(b"%x\r\n%b\r\n" % (len(event), event.encode()))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _hold(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(1), HANGS_S)
        self.gone.set()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(first.split(" ")[1], headers, json.loads(content) if content else None)


def _write_head(writer: asyncio.StreamWriter, status: int, headers: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode())
