"""Raw responses that a host reads as bytes, text or lines: watched as they pass.

A stream of events is parsed beside what the host does with it, and its usage counts as if the
client had parsed it; the JSON of a whole answer is kept up to a bound until it is complete.
Invariant: the host gets the same pieces at the same time, and nothing that only the host would
have kept alive is kept here.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson

from tokentide.instrument.call import Call, any_chunk
from tokentide.instrument.streams import watch, watch_async
from tokentide.usage.flavour import StreamReading

MAX_KEPT = 256 * 1024
"""Bytes kept of an answer or of one event; what is longer is vectors, pictures or sound."""
_SSE = "text/event-stream"


class EventReading:
    """Implements `StreamReading` for the bytes of server-sent events."""

    __slots__ = ("_data", "_inner", "_line", "_room")

    def __init__(self, inner: StreamReading) -> None:
        self._inner = inner
        self._line = b""
        self._data: list[bytes] = []
        self._room = MAX_KEPT

    def add(self, chunk: object) -> None:
        """Look at the next bytes, which may begin and end anywhere."""
        if type(chunk) is not bytes:
            return
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            self._add_line(line.rstrip(b"\r"))
        if len(self._line) > MAX_KEPT:
            self._line = b""

    def _add_line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._room -= len(line)
            if self._room < 0:
                self._data.clear()
            else:
                self._data.append(line[5:])
        elif not line:
            data, self._data, self._room = b"\n".join(self._data), [], MAX_KEPT
            if not data:
                return
            try:
                self._inner.add(orjson.loads(data))
            except ValueError:  # `[DONE]`, a comment, half of an event
                return

    def fields(self) -> dict[str, object]:
        """Return the event fields of what has passed so far."""
        self._add_line(self._line)
        self._add_line(b"")  # the last event may lack its empty line
        self._line = b""
        return self._inner.fields()


class _Pieces:
    """The bytes of one answer as the host reads them."""

    __slots__ = ("_kept", "_room", "is_begun", "is_whole")

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._room = MAX_KEPT
        self.is_begun = self.is_whole = False

    def add(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            self._kept.clear()
        else:
            self._kept.append(data)

    def parsed(self) -> object:
        return parsed_or_empty(b"".join(self._kept))


def parsed_or_empty(content: bytes | str) -> object:
    """Return JSON, {} for what is none."""
    try:
        return orjson.loads(content)
    except ValueError:
        return {}


def watch_body(call: Call, http: Any) -> None:
    """Watch the body of a response whose bytes the host reads or has read itself.

    Args:
        call: Ended by the last byte, or when what holds it is closed or dropped.
        http: The response of the HTTP client; its methods `iter_bytes` and `aiter_bytes`, which
            all others go through, are replaced on this object.
    """
    content = http.__dict__.get("_content")
    is_events = str(http.headers.get("content-type", "")).startswith(_SSE)
    if type(content) is bytes and not is_events:
        call.wait(lambda: parsed_or_empty(content))
        return
    pieces, reference = _Pieces(), weakref.ref(http)

    def body() -> object:
        if pieces.is_whole:
            return pieces.parsed()
        response = reference()
        if pieces.is_begun or response is None:
            return None
        # Read, in some way that is not seen here; otherwise it is unread.
        return {} if response.is_stream_consumed else None

    call.wait(body)
    kind = type(http)

    def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
        chunks = kind.iter_bytes(reference(), chunk_size)
        if call.is_streaming:  # parsed by the client, which is watched already
            return chunks  # type: ignore[no-any-return]
        if is_events:
            return watch(chunks, _of_bytes(call))
        return _gather(chunks, call, pieces)

    def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        chunks = kind.aiter_bytes(reference(), chunk_size)
        if call.is_streaming:
            return chunks  # type: ignore[no-any-return]
        if is_events:
            return watch_async(chunks, _of_bytes(call))
        return _gather_async(chunks, call, pieces)

    http.iter_bytes, http.aiter_bytes = iter_bytes, aiter_bytes


def _of_bytes(call: Call) -> Call:
    """Make a call read bytes instead of the client's own chunks."""
    how = call.flavour
    make: Callable[[], StreamReading] = how.read_stream
    call.flavour = replace(how, read_stream=lambda: EventReading(make()))
    call.is_token = any_chunk
    return call


def _gather(chunks: Iterator[bytes], call: Call, pieces: _Pieces) -> Iterator[bytes]:
    error: BaseException | None = None
    pieces.is_begun = True
    try:
        for chunk in chunks:
            yield chunk
            pieces.add(chunk)
        pieces.is_whole = True
    except BaseException as exc:
        error = exc
        raise
    finally:
        _end(call, error)
        error = None


async def _gather_async(
    chunks: AsyncIterator[bytes], call: Call, pieces: _Pieces
) -> AsyncIterator[bytes]:
    error: BaseException | None = None
    pieces.is_begun = True
    try:
        async for chunk in chunks:
            yield chunk
            pieces.add(chunk)
        pieces.is_whole = True
    except BaseException as exc:
        error = exc
        raise
    finally:
        _end(call, error)
        error = None


def _end(call: Call, error: BaseException | None) -> None:
    if error is None or isinstance(error, GeneratorExit):
        call.closed(error)
    else:
        call.failed(error)
