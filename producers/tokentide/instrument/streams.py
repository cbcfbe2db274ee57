"""Streams of chunks, watched while they pass, and their end when the host closes them.

Why these are generators with their loops spelled out: docs/producer-internals.md. Invariants: a
chunk is forwarded before it is read and before the next one is pulled; what the host throws in or
the provider raises passes through; no chunk is kept while the next one is waited for.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter_ns
from typing import Any

from tokentide.failures import status_of
from tokentide.instrument.call import Call, Progress, log

Function = Callable[..., Any]

CALL = "_tokentide_call"
"""Attribute of a stream or raw response that carries the call it belongs to."""
_END = object()


def watch(chunks: Iterator[Any], call: Call) -> Iterator[Any]:
    """Return the chunks, unchanged and as they come; the call ends when they do.

    Args:
        chunks: What the client iterates.
        call: Takes the times and what the chunks say. Only the returned generator refers to it,
            so that dropping a stream unread ends the call too.
    """
    count = first_ns = last_ns = gap_ns = 0
    chunk: Any = None
    add = _start(call, lambda: (chunk, count, first_ns, last_ns, gap_ns))

    def passing() -> Iterator[Any]:
        nonlocal chunk, count, first_ns, last_ns, gap_ns
        read_chunk, hides_usage = add, call.hides_usage
        error: BaseException | None = None
        try:
            for chunk in chunks:
                now_ns = perf_counter_ns()
                if first_ns:
                    if now_ns - last_ns > gap_ns:
                        gap_ns = now_ns - last_ns
                elif _has_output(call, chunk):
                    first_ns = now_ns
                last_ns = now_ns
                count += 1
                if not hides_usage or not _is_usage_alone(chunk):
                    yield chunk
                try:
                    read_chunk(chunk)
                except Exception as exc:
                    read_chunk = _stop_reading(exc)
                chunk = None  # noqa: PLW2901 - its content goes now
        except BaseException as exc:
            error = exc
            raise
        finally:
            _end(call, error)
            error = None  # its traceback refers to this frame

    return passing()


def watch_async(chunks: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
    """Return the chunks of an asynchronous stream, as `watch` does those of another."""
    count = first_ns = last_ns = gap_ns = 0
    chunk: Any = None
    add = _start(call, lambda: (chunk, count, first_ns, last_ns, gap_ns))

    async def passing() -> AsyncIterator[Any]:
        nonlocal chunk, count, first_ns, last_ns, gap_ns
        read_chunk, hides_usage = add, call.hides_usage
        error: BaseException | None = None
        try:
            async for chunk in chunks:
                now_ns = perf_counter_ns()
                if first_ns:
                    if now_ns - last_ns > gap_ns:
                        gap_ns = now_ns - last_ns
                elif _has_output(call, chunk):
                    first_ns = now_ns
                last_ns = now_ns
                count += 1
                if not hides_usage or not _is_usage_alone(chunk):
                    yield chunk
                try:
                    read_chunk(chunk)
                except Exception as exc:
                    read_chunk = _stop_reading(exc)
                chunk = None  # noqa: PLW2901 - its content goes now
        except BaseException as exc:
            error = exc
            raise
        finally:
            _end(call, error)
            error = None

    return passing()


def watch_lazy(chunks: Iterator[Any], call: Call) -> Iterator[Any]:
    """Return the chunks of a generator that sends its request when it is first advanced.

    It runs in whatever context advances it, so the guard against recording twice is held only while
    the first chunk is fetched. A generator that is never advanced was no call and leaves no event.
    """
    call.postpone()
    return watch(_first_held(chunks, call), call)


def _first_held(chunks: Iterator[Any], call: Call) -> Iterator[Any]:
    call.start()
    try:
        call.hold()
        try:
            chunk = next(chunks, _END)
        finally:
            call.release()
        if chunk is not _END:
            yield chunk
            del chunk
            yield from chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _start(call: Call, progress: Progress) -> Callable[[Any], None]:
    reading = call.streams(progress)
    return _ignore if reading is None else reading.add


def _end(call: Call, error: BaseException | None) -> None:
    try:
        if isinstance(error, GeneratorExit):
            call.closed(error)
        else:
            call.stopped(error)
    except Exception as exc:
        log.report("end", "the end of a stream could not be recorded: %r", exc)


def _has_output(call: Call, chunk: Any) -> bool:
    """Return whether the first token is here; called until it is."""
    try:
        return call.is_token(chunk)
    except Exception:
        return True


def _is_usage_alone(chunk: Any) -> bool:
    """Return whether this is the extra chunk that OpenAI's `include_usage` adds."""
    try:
        return not chunk.choices and chunk.usage is not None
    except Exception:
        return False


def _stop_reading(error: Exception) -> Callable[[Any], None]:
    log.report("chunk", "the chunks of a stream cannot be read: %r", error)
    return _ignore


def _ignore(chunk: Any) -> None:
    """Take no notice of a chunk."""


# -- streams and raw responses that the host closes ----------------------------------------------


def ends_on_close(original: Function) -> Function:
    """Wrap `close` of a stream or raw response, whose own result or exception is the host's."""

    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            _end_call_of(self)

    return close


def ends_on_close_async(original: Function) -> Function:
    """Wrap `close` of an asynchronous stream or raw response."""

    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        finally:
            _end_call_of(self)

    return close


def _end_call_of(closed: Any) -> None:
    """End the call that an object carries, itself or in a helper around the client's stream."""
    attributes = closed.__dict__
    call = attributes.get(CALL)
    if call is None:
        call = getattr(attributes.get("_raw_stream"), "__dict__", {}).get(CALL)
    if call is not None:
        close_call(call)


def close_call(call: Call) -> None:
    """End the call of a stream that the host closes; cancelled when that is why it does."""
    try:
        error = sys.exc_info()[1]
        call.closed(error if error is not None and status_of(error) == "cancelled" else None)
    except Exception as exc:
        log.report("close", "the end of a stream could not be recorded: %r", exc)
