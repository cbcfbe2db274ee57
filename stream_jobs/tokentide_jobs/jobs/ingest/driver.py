"""Drives the write protocol in a thread: runs each effect until it succeeds, however long it takes.

Giving up would leave the store half written, so there are only two ways out: success, or the order
to stop (the partition was taken away, the worker ends). Whatever was written until then is found
and finished by the next owner.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.errors import ConfigError, PipelineError, RetriableSinkError
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch
from tokentide_jobs.jobs.ingest.flush import FlushFlow, FlushTimes
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["Abandoned", "Driver", "DriverEvents"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Abandoned(PipelineError):
    """The order to stop came before the step had succeeded."""


class DriverEvents(Protocol):
    """Who wants to know how the store behaves."""

    def step_failed(self, code: int | None, message: str, needs_a_person: bool) -> None:
        """Note that a step failed and will be retried."""

    def step_succeeded(self, step: str, seconds: float) -> None:
        """Note that a step succeeded, after `seconds` with all retries."""


class Driver:
    """Runs steps with retries. One object may serve several threads.

    Args:
        backoff: How long to pause between tries.
        events: Told about every failure and success.
        chance: Source of jitter.
    """

    def __init__(
        self,
        backoff: Backoff,
        events: DriverEvents,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._backoff = backoff
        self._events = events
        self._chance = chance

    def call(self, step: str, run: Callable[[], T], stop: threading.Event, times: FlushTimes) -> T:
        """Run one step until it succeeds.

        Raises:
            Abandoned: `stop` was set first.
            RowsRefused: The step can never succeed with these rows.
        """
        started = time.monotonic()
        attempt = 0
        while not stop.is_set():
            try:
                result = run()
            except (RetriableSinkError, ConfigError) as exc:
                attempt += 1
                times.retries += 1
                self._pause(step, exc, attempt, stop)
            else:
                elapsed_s = time.monotonic() - started
                times.insert_ms += elapsed_s * 1000
                self._events.step_succeeded(step, elapsed_s)
                return result
        raise Abandoned(step)

    def drive(
        self, begin: Callable[[FlushTimes], FlushFlow], stop: threading.Event
    ) -> tuple[Outcome, DoneBatch] | None:
        """Run a whole flush; a flow that fails for want of a person is begun again.

        Raises:
            Abandoned: `stop` was set first.
        """
        attempt = 0
        while True:
            times = FlushTimes()
            try:
                return self._run(begin(times), stop, times)
            except ConfigError as exc:
                attempt += 1
                self._pause("flush", exc, attempt, stop)
                if stop.is_set():
                    raise Abandoned("flush") from exc

    def _run(
        self, flow: FlushFlow, stop: threading.Event, times: FlushTimes
    ) -> tuple[Outcome, DoneBatch] | None:
        try:
            effect = next(flow)
            while True:
                try:
                    result = self.call(effect.name, effect.run, stop, times)
                except RowsRefused as exc:
                    effect = flow.throw(exc)
                else:
                    effect = flow.send(result)
        except StopIteration as finished:
            written: tuple[Outcome, DoneBatch] | None = finished.value
            return written

    def _pause(
        self,
        step: str,
        exc: RetriableSinkError | ConfigError,
        attempt: int,
        stop: threading.Event,
    ) -> None:
        needs_a_person = isinstance(exc, ConfigError)
        code: int | None = getattr(exc, "code", None)
        self._events.step_failed(code, str(exc), needs_a_person)
        pause_s = self._backoff.pause_s(attempt, self._chance(), slow=needs_a_person)
        log_event(
            _log,
            logging.ERROR if needs_a_person else logging.WARNING,
            "step_failed",
            step=step,
            attempt=attempt,
            code=code,
            error=str(exc),
            again_in_s=round(pause_s, 3),
        )
        stop.wait(pause_s)
