"""Keeps aiokafka's log lines about the background thread's connections out of the host's log.

aiokafka writes a line for every attempt of every second of an outage into loggers it shares with
the host's own consumers and producers; those keep their lines.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable

IS_ASIDE: contextvars.ContextVar[bool] = contextvars.ContextVar("tokentide_aside", default=False)
"""Set in tasks whose troubles are not those of the events: their lines are not counted."""

_LOGGERS = (
    "aiokafka",
    "aiokafka.conn",
    "aiokafka.cluster",
    "aiokafka.producer.sender",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.consumer.subscription_state",
)


class QuietFilter(logging.Filter):
    """Suppresses what aiokafka logs on the background thread, and counts it as a failed attempt."""

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        super().__init__()
        self.owner = (os.getpid(), threading.get_ident())
        self._on_failure = on_failure

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line may be written: not when it is about this connection."""
        if (record.process, record.thread) != self.owner:
            return True
        if record.levelno >= logging.WARNING and not IS_ASIDE.get():
            self._on_failure(record.getMessage())
        return False


def quieten(on_failure: Callable[[str], None]) -> None:
    """Suppress the lines of this thread from now on, and hand its warnings to `on_failure`."""
    unquieten()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(QuietFilter(on_failure))


def is_quiet() -> bool:
    """Whether the lines of this thread are suppressed."""
    owner = (os.getpid(), threading.get_ident())
    filters = logging.getLogger(_LOGGERS[0]).filters
    return any(isinstance(one, QuietFilter) and one.owner == owner for one in filters)


def unquieten() -> None:
    """Remove this thread's filters, and those a forked child inherited: thread ids are reused."""
    pid, thread_id = os.getpid(), threading.get_ident()
    for name in _LOGGERS:
        target = logging.getLogger(name)
        for old in [f for f in target.filters if isinstance(f, QuietFilter)]:
            if old.owner[0] != pid or old.owner[1] == thread_id:
                target.removeFilter(old)
