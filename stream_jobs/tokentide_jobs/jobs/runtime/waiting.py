"""Waits for services: tries again, with growing pauses, until they answer."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.errors import ConfigError, RetriableSinkError, ServiceUnreachable
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused, SinkMisconfigured
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["Stopped", "Storing", "until_it_answers", "until_stored"]

_log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 10.0

T = TypeVar("T")


class Stopped(Exception):
    """The order to stop came first."""


class Storing(Protocol):
    """Runs a step of the store until it succeeds: `until_stored` with all but the step given."""

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Return what `work` returns; `name` is for the log."""


async def until_it_answers(
    service: str, work: Callable[[], Awaitable[T]], longest_pause_s: float, health: Health
) -> T:
    """Return what `work` returns, once its service answers; for a worker that begins."""
    backoff = Backoff(longest_s=min(longest_pause_s, _LONGEST_PAUSE_S))
    for pause_s in backoff.pauses_s(random.random):
        try:
            return await work()
        except (ServiceUnreachable, RetriableSinkError, SinkMisconfigured) as exc:
            health.starting(f"{service}: {exc}")
            log_event(_log, logging.WARNING, "waiting_for_service", service=service, error=str(exc))
            await asyncio.sleep(pause_s)
    raise AssertionError("pauses never end")


def until_stored(
    name: str,
    work: Callable[[], T],
    longest_pause_s: float,
    health: Health,
    stop: threading.Event,
    chance: Callable[[], float] = random.random,
) -> T:
    """Return what `work` returns, once the store takes or answers it; for a worker's thread.

    Raises:
        Stopped: `stop` was set first.
    """
    backoff, attempt = Backoff(longest_s=longest_pause_s), 0
    while not stop.is_set():
        try:
            result = work()
        except (RetriableSinkError, ConfigError, RowsRefused) as exc:
            attempt += 1
            needs_a_person = not isinstance(exc, RetriableSinkError)
            health.sink_failed(getattr(exc, "code", None), str(exc), needs_a_person)
            pause_s = backoff.pause_s(attempt, chance(), slow=needs_a_person)
            log_event(
                _log,
                logging.ERROR if needs_a_person else logging.WARNING,
                "step_failed",
                step=name,
                attempt=attempt,
                error=str(exc),
                again_in_s=round(pause_s, 3),
            )
            stop.wait(pause_s)
        else:
            health.sink_works()
            return result
    raise Stopped(name)
