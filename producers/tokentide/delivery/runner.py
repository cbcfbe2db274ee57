"""The event loop of the background thread.

It is a plain selector loop of its own, never the host's policy (uvloop, a patched loop). Only a
name look-up takes another thread, for as long as it takes: a name server that hangs must not keep
events from being collected. At the interpreter's exit threads can no longer be started, and a
script that emits one event and ends must still get it out; then the loop looks names up itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import encodings.idna  # noqa: F401 # the first look-up would import it, while a host may fork
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from tokentide.delivery.dispatcher import Dispatcher
from tokentide.delivery.quiet import quiet
from tokentide.delivery.threads import find_original, make_selector, start_thread


class OwnLoop(asyncio.SelectorEventLoop):
    """An event loop that needs no pool of threads."""

    def __init__(self) -> None:
        super().__init__(make_selector())
        self._lookups: dict[object, asyncio.Future[list[Any]]] = {}

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> list[Any]:
        """Look a name up; callers that ask for the same name share one look-up."""
        look_up = partial(find_original("socket", "getaddrinfo"), host, port, **hints)
        key = (host, port, *hints.items())
        pending = self._lookups.get(key)
        if pending is None:
            pending = self.create_future()
            try:
                start_thread(partial(self._look_up, look_up, pending), "tokentide-dns")
            except RuntimeError:
                return list(look_up())
            self._lookups[key] = pending
            pending.add_done_callback(lambda _: self._lookups.pop(key, None))
        # The next attempt waits for the same answer, so that threads do not pile up.
        return await asyncio.shield(pending)

    def end(self) -> None:
        """Close the loop, and every connection that takes its time to say goodbye.

        TLS waits for the other side's goodbye, up to half a minute.
        """
        for transport in list(getattr(self, "_transports", {}).values()):
            transport.abort()
        self.run_until_complete(asyncio.sleep(0))
        self.close()

    def _look_up(
        self, look_up: Callable[[], list[Any]], pending: asyncio.Future[list[Any]]
    ) -> None:
        found: list[Any] = []
        error: Exception | None = None
        try:
            found = look_up()
        except Exception as exc:
            error = exc
        # The loop may have been closed meanwhile; then nothing waits for the result.
        with contextlib.suppress(RuntimeError):
            self.call_soon_threadsafe(_settle, pending, found, error)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call the function here and now: aiokafka computes its answers to a login this way."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as exc:
            done.set_exception(exc)
        return done


def _settle(pending: asyncio.Future[list[Any]], found: list[Any], error: Exception | None) -> None:
    if pending.done():
        return
    if error is None:
        pending.set_result(found)
        return
    pending.set_exception(error)
    pending.exception()  # marked as retrieved: the caller may have given up


class Companion(Protocol):
    """What runs beside the events' dispatcher."""

    async def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """Make `run` return soon."""


def run_dispatcher(dispatcher: Dispatcher, *companions: Companion) -> None:
    """Run the dispatcher to its end on a new, quiet event loop, and clean up behind it.

    Args:
        dispatcher: The events' dispatcher: when it ends, everything ends.
        companions: What runs beside it; their end or failure changes nothing for it.
    """
    with quiet():
        _run_on(OwnLoop(), dispatcher, companions)


def _run_on(loop: OwnLoop, dispatcher: Dispatcher, companions: Sequence[Companion]) -> None:
    # What asyncio would log here (futures never awaited, after a connection was dropped) is
    # already in the producer's counters; the host's log is not the place for it.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        loop.run_until_complete(_run_all(dispatcher, companions))
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        finally:
            loop.end()


async def _run_all(dispatcher: Dispatcher, companions: Sequence[Companion]) -> None:
    others = [asyncio.ensure_future(companion.run()) for companion in companions]
    try:
        await dispatcher.run()
    finally:
        for companion in companions:
            companion.stop()
        if others:
            await asyncio.wait(others, timeout=1.0)
