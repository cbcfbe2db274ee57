"""Drives the lives of receivers: one task each, so that a dead one holds nothing else up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.alert.notified_since import since_by_key, since_key
from tokentide_jobs.core.alert.outbox import EXPIRES_US, Look, Send, StoreAttempt, Wait, life
from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.notify.receiver import Receiver
from tokentide_jobs.io.notify.sending import Sender
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["Outbox"]

_log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
_SENDING: Final = Backoff(first_s=1.0, longest_s=60.0)
_STORING: Final = Backoff(first_s=0.5, longest_s=15.0)

T = TypeVar("T")


class Outbox:
    """Sends stored transitions to receivers.

    Args:
        store: Where they are, and where results go.
        pauses: Between failed attempts.
        clock_us: Returns at once the time by which the store says when rows were written.
    """

    def __init__(
        self,
        store: AlertStore,
        pauses: Backoff = _SENDING,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._store = store
        self._pauses = pauses
        self._clock_us = clock_us

    async def follow(self, receivers: Callable[[], tuple[Receiver, ...] | None]) -> None:
        """Send to the present receivers, until cancelled.

        Args:
            receivers: Asked every second; None while another worker sends.
        """
        while True:
            current = receivers()
            work = asyncio.sleep(0) if current is None else self.run(current)
            sending = asyncio.create_task(work, name="sending")
            try:
                while receivers() == current:
                    await asyncio.sleep(_LOOK_S)
                    if sending.done() and current:
                        log_event(_log, logging.ERROR, "outbox_failed", error=repr(sending))
                        break
            finally:
                sending.cancel()
                await asyncio.wait([sending])

    async def run(self, receivers: Sequence[Receiver]) -> None:
        """Send until cancelled; each receiver gets what comes since it was configured."""
        notified_since = await self._stored(lambda: self.notified_since(receivers))
        async with Sender() as sender, asyncio.TaskGroup() as tasks:
            for receiver in receivers:
                tasks.create_task(
                    self._keep_alive(receiver, notified_since, sender),
                    name=f"notify-{receiver.name}",
                )

    async def _keep_alive(
        self, receiver: Receiver, notified_since: Mapping[str, int], sender: Sender
    ) -> None:
        """Begin a life again when it fails, so that no receiver ends the lives of the others."""
        for pause_s in self._pauses.pauses_s(random.random):
            try:
                await self._live(receiver, notified_since, sender)
            except Exception as exc:
                log_event(
                    _log, logging.ERROR, "outbox_failed", receiver=receiver.name, error=repr(exc)
                )
            await asyncio.sleep(pause_s)

    async def _live(
        self, receiver: Receiver, notified_since: Mapping[str, int], sender: Sender
    ) -> None:
        """Live the life of a receiver."""
        mine: dict[str, int] = {
            one: notified_since[since_key(receiver.name, one)] for one in receiver.severities
        }
        steps = life(
            receiver.name,
            self._clock_us,
            lambda failures: self._pauses.pause_s(failures, random.random()),  # noqa: S311 -- jitter
        )
        answer: object = None
        while True:
            step = steps.send(answer)
            answer = None
            match step:
                case Look():
                    answer = await self._stored(
                        lambda: self._store.unsent(
                            receiver.name, mine, self._clock_us() - 2 * EXPIRES_US
                        )
                    )
                case Send(message=message):
                    answer = result = await sender.send(receiver, message)
                    if result.outcome != "delivered":
                        log_event(
                            _log, logging.WARNING, "not_notified", receiver=receiver.name,
                            outcome=result.outcome, status=result.status, detail=result.detail,
                        )  # fmt: skip
                case StoreAttempt(attempt=attempt):
                    await self._stored(partial(self._store.record, attempt))
                case Wait(seconds=seconds):
                    await asyncio.sleep(seconds)

    def notified_since(self, receivers: Sequence[Receiver]) -> dict[str, int]:
        """Return since when receivers are notified of severities; store it where it changed."""
        before, now_us = self._store.read_notified_since(), self._clock_us()
        notified_since = since_by_key(
            before, [(one.name, one.severities) for one in receivers], now_us
        )
        if notified_since != before:
            self._store.write_notified_since(notified_since, now_us)
        return notified_since

    async def _stored(self, step: Callable[[], T]) -> T:
        """Do a step at the store until it succeeds."""
        for pause_s in _STORING.pauses_s(random.random):
            try:
                return await asyncio.to_thread(step)
            except PipelineError as exc:
                log_event(_log, logging.WARNING, "outbox_waits", error=str(exc))
                await asyncio.sleep(pause_s)
        raise AssertionError("pauses never end")
