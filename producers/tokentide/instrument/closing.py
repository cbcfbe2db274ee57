"""A call ends when the host closes the stream or the raw response that carries it.

Invariant: the client's own `close` runs first and its result or exception is the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokentide.instrument.streams import left

Function = Callable[..., Any]

CALL = "_tokentide_call"
"""Attribute of a stream or raw response that carries the call it belongs to."""


def ending(original: Function) -> Function:
    """Wraps `close` of a stream or raw response."""

    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            end_of(self)

    return close


def ending_async(original: Function) -> Function:
    """Wraps `close` of an asynchronous stream or raw response."""

    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        finally:
            end_of(self)

    return close


def end_of(closed: Any) -> None:
    """Ends the call that an object carries, itself or in a helper around the client's stream."""
    attributes = closed.__dict__
    call = attributes.get(CALL)
    if call is None:
        call = getattr(attributes.get("_raw_stream"), "__dict__", {}).get(CALL)
    if call is not None:
        left(call)
