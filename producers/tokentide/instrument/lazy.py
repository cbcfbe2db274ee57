"""Streams whose request is sent when they are first advanced: generators of some clients.

A generator runs in whatever context advances it, so the guard against recording twice is held only
while the first chunk is fetched, never while the host has the control. A stream that is never
advanced was no call and leaves no event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokentide.instrument.call import Call
from tokentide.instrument.streams import watch

_END = object()


def watch_lazy(chunks: Iterator[Any], call: Call) -> Iterator[Any]:
    """Returns the chunks of a generator that sends its request at its first step."""
    call.put_off()
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
