"""One call, one event, however many instrumented layers it passes through.

A framework that calls a provider's client, and a client's helper that calls the client's own
method, are both seen. Whoever sees the call first holds this guard, in the running task or thread,
until the call has returned; whoever finds it held keeps out of the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

held: ContextVar[object | None] = ContextVar("tokentide_held", default=None)
"""What is recording the call that runs here; None when nothing does."""


@contextmanager
def suppressed() -> Iterator[None]:
    """Keeps instrumented clients silent inside the block: somebody else records these calls."""
    outer = held.get()
    held.set(_SUPPRESSED if outer is None else outer)
    try:
        yield
    finally:
        held.set(outer)


_SUPPRESSED = object()
