"""Ways a service uses a client, synchronous and asynchronous, and what it sees when it does.

What it sees is a plain value, so that the same scene with and without instrumentation can be
compared: what came back or was raised, which chunks arrived, what the server was asked.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from tests.producers.real_clients.dialects import Dialect
from tests.producers.real_clients.server import FakeProvider, Reply

WAIT_S = 5.0


@dataclass(frozen=True)
class Seen:
    """What a service and the server saw of one scene."""

    result: object = None
    error: str = ""
    status: int | None = None
    chunks: tuple[Any, ...] = ()
    asked: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Scene:
    """One use of one client.

    Attributes:
        replies: The server's script.
        streams: Whether the answer is streamed.
        takes: Chunks after which the service stops; all when absent.
        leaves: How it stops: break, close, with, or cancel (of the task; asynchronous only).
        options: Further arguments of the client.
    """

    dialect: Dialect
    replies: tuple[Reply, ...]
    streams: bool = False
    takes: int | None = None
    leaves: str = "break"
    options: tuple[tuple[str, Any], ...] = ()
    url: str = ""

    def play(self, provider: FakeProvider, mode: str) -> Seen:
        """Run the scene against the server and return what was seen."""
        provider.script(self.replies)
        chunks: list[Any] = []
        result: object = None
        error: BaseException | None = None
        try:
            if mode == "sync":
                result = self._sync(provider, chunks)
            else:
                result = asyncio.run(self._async(provider, chunks))
        except (Exception, asyncio.CancelledError) as exc:
            error = exc
        status = getattr(error, "status_code", None)
        raised = f"{type(error).__module__}.{type(error).__qualname__}" if error else ""
        error = None
        gc.collect()  # a dropped stream is closed now
        if any(reply.holds_after is not None for reply in self.replies):
            assert provider.gone.wait(WAIT_S), "the client let go of the connection"
        assert provider.unused == 0
        asked = tuple((sent.path, sent.headers, sent.body) for sent in provider.requests)
        return Seen(result, raised, status, tuple(chunks), asked)

    def _made(self, make: Callable[..., Any], provider: FakeProvider) -> Any:
        return make(self.url or provider.url, **{"max_retries": 0, **dict(self.options)})

    def _sync(self, provider: FakeProvider, chunks: list[Any]) -> object:
        with self._made(self.dialect.make, provider) as client:
            resource = self.dialect.resource(client)
            if not self.streams:
                return resource.create(**self.dialect.request).model_dump()
            stream = resource.create(**self.dialect.streamed)
            if self.leaves == "with":
                with stream:
                    self._take(stream, chunks)
            else:
                self._take(stream, chunks)
                if self.leaves == "close":
                    stream.close()
            return None

    def _take(self, stream: Iterator[Any], chunks: list[Any]) -> None:
        for chunk in stream:
            chunks.append(chunk.model_dump())
            if len(chunks) == self.takes:
                break

    async def _async(self, provider: FakeProvider, chunks: list[Any]) -> object:
        async with self._made(self.dialect.make_async, provider) as client:
            resource = self.dialect.resource(client)
            if not self.streams:
                return (await resource.create(**self.dialect.request)).model_dump()
            stream = await resource.create(**self.dialect.streamed)
            if self.leaves == "cancel":
                await self._cancel(stream, chunks)
            elif self.leaves == "with":
                async with stream:
                    await self._take_async(stream, chunks)
            else:
                await self._take_async(stream, chunks)
                if self.leaves == "close":
                    await stream.close()
            return None

    async def _take_async(self, stream: AsyncIterator[Any], chunks: list[Any]) -> None:
        async for chunk in stream:
            chunks.append(chunk.model_dump())
            if len(chunks) == self.takes:
                break

    async def _cancel(self, stream: Any, chunks: list[Any]) -> None:
        """Cancel the task that reads, while it waits for a chunk that does not come."""
        arrived = asyncio.Event()

        async def read() -> None:
            async with aclosing(stream.__aiter__()) as items:
                async for chunk in items:
                    chunks.append(chunk.model_dump())
                    if len(chunks) == self.takes:
                        arrived.set()

        reader = asyncio.create_task(read())
        await asyncio.wait_for(arrived.wait(), WAIT_S)
        await asyncio.sleep(0)  # it waits for the next one now
        reader.cancel()
        await reader
