"""Keeps aiokafka's log lines about the producer's own connections out of the host's log.

aiokafka writes a line for every attempt of every second of an outage, and others at every login,
into loggers it shares with the host's own consumers and producers. Invariant: of one thread no line
passes, from its first connection to the end of its last one; the host's own lines all do.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ON_FAILURE: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar(
    "tokentide_on_failure", default=None
)
"""Called with the warnings in a task and the tasks it starts; None where they are not counted."""


class QuietFilter(logging.Filter):
    """Suppresses what aiokafka logs on one thread, and hands on its warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = (os.getpid(), threading.get_ident())

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line may be written: not when it is about our connections."""
        # A filter runs where the line is made; the record itself knows neither where the host sets
        # `logging.logProcesses` or `logging.logThreads` to False.
        if (os.getpid(), threading.get_ident()) != self.owner:
            return True
        on_failure = ON_FAILURE.get()
        if record.levelno >= logging.WARNING and on_failure is not None:
            on_failure(record.getMessage())
        return False


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress aiokafka's lines of this thread inside the block; import aiokafka before."""
    quieting = QuietFilter()
    loggers = _loggers()
    for one in loggers:
        for old in [f for f in one.filters if isinstance(f, QuietFilter)]:
            if old.owner[0] != quieting.owner[0]:  # of the process that forked this one
                one.removeFilter(old)
        one.addFilter(quieting)
    try:
        yield
    finally:
        for one in loggers:
            one.removeFilter(quieting)


def _loggers() -> list[logging.Logger]:
    """Return those of aiokafka: a filter holds for one logger, not for those below it."""
    known = list(logging.Logger.manager.loggerDict.items())
    return [
        one
        for name, one in known
        if name.partition(".")[0] == "aiokafka" and isinstance(one, logging.Logger)
    ]
