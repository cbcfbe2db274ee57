"""Drives a life in a thread: runs each effect until it succeeds, however long it takes.

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
from typing import Any, Protocol, cast

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.batch.life import Effect, Life, Step
from tokentide_jobs.errors import ConfigError, PipelineError, RetriableSinkError
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["Abandoned", "Driver", "DriverEvents"]

_log = logging.getLogger(__name__)


class Abandoned(PipelineError):
    """The order to stop came before the step had succeeded."""


class DriverEvents(Protocol):
    """Who wants to know how the store behaves."""

    def step_failed(self, code: int | None, message: str, needs_a_person: bool) -> None:
        """Note that a step failed and will be retried."""

    def step_succeeded(self, step: str, seconds: float) -> None:
        """Note that a step succeeded, after `seconds` with all retries."""


class Driver:
    """Runs effects with retries. One object may serve several threads.

    Args:
        backoff: How long to pause between tries.
        events: Notified of every failure and success.
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

    def run_effect(self, effect: Effect, stop: threading.Event) -> Any:
        """Run one effect until it succeeds.

        Raises:
            Abandoned: `stop` was set first.
            RowsRefused: The effect can never succeed with these rows.
        """
        started = time.monotonic()
        attempt = 0
        while not stop.is_set():
            try:
                result = effect.run()
            except (RetriableSinkError, ConfigError) as exc:
                attempt += 1
                self._pause(effect.name, exc, attempt, stop)
            else:
                self._events.step_succeeded(effect.name, time.monotonic() - started)
                return result
        raise Abandoned(effect.name)

    def advance(self, life: Life, answer: Any, stop: threading.Event) -> Step:
        """Go on with a life until it asks for something other than an effect.

        Args:
            life: Waits for the answer to its last step.
            answer: That answer; None begins a life.
            stop: The order to stop.

        Raises:
            Abandoned: `stop` was set first. The life is not to be used any more.
        """
        # In a list, from which it is taken to be run: rows that an effect has stored must not be
        # held while the life computes the next ones.
        steps: list[Step] = [life.send(answer)]
        while isinstance(steps[0], Effect):
            try:
                result = self.run_effect(cast(Effect, steps.pop()), stop)
            except RowsRefused as exc:
                steps.append(life.throw(exc))
            else:
                steps.append(life.send(result))
        return steps.pop()

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
