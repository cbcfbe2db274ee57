"""Functions whose every call is recorded: what a recorder does as a decorator.

Invariant: values, exceptions and `close` pass between a function and its caller as without it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from tokentide.decorating import Function, wrapped


class Measured(AbstractContextManager["Measured"], Protocol):
    """What records one call: a block, which counts chunks."""

    def chunk(self) -> None:
        """Mark the arrival of one chunk."""


Block = TypeVar("Block", bound=Measured)


class RecordedFunctions(Generic[Block]):
    """Wraps functions of every kind.

    Args:
        fresh: Returns a recorder that has not begun, one for each call.
        begin: Begins a recorder without making it the current one.
        end: Ends it, with the exception that ended the call.
    """

    def __init__(
        self,
        fresh: Callable[[], Block],
        begin: Callable[[Block], Block],
        end: Callable[[Block, BaseException | None], None],
    ) -> None:
        self._fresh = fresh
        self._begin = begin
        self._end = end

    def wrap(self, function: Function) -> Function:
        """Return the function, recorded: plain, async, generator or async generator."""
        return wrapped(
            function,
            plain=self._plain,
            coroutine=self._coroutine,
            generator=self._generator,
            async_generator=self._async_generator,
        )

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return recorded

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def recorded(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return await function(*args, **kwargs)

        return recorded

    # A generator runs in the context of its consumer, so the two below are not `current`
    # between items: setting the context variable would leak into the consumer.

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            recorder = self._begin(self._fresh())
            error: BaseException | None = None
            try:
                return (yield from _counted(function(*args, **kwargs), recorder))
            except BaseException as exc:
                error = exc
                raise
            finally:
                self._end(recorder, error)
                del error  # the exception's traceback refers to this frame

        return recorded

    def _async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def recorded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            recorder = self._begin(self._fresh())
            error: BaseException | None = None
            items = function(*args, **kwargs)
            try:
                async for item in items:
                    recorder.chunk()
                    yield item
            except BaseException as exc:
                error = exc
                raise
            finally:
                self._end(recorder, error)
                del error
                await items.aclose()

        return recorded


def _counted(items: Generator[Any, Any, Any], recorder: Measured) -> Generator[Any, Any, Any]:
    """Pass values and exceptions through in both directions; count what comes out."""
    try:
        item = next(items)
        while True:
            recorder.chunk()
            try:
                sent = yield item
            except GeneratorExit:
                items.close()
                raise
            except BaseException as exc:
                item = items.throw(exc)
            else:
                item = items.send(sent)
    except StopIteration as end:
        return end.value
