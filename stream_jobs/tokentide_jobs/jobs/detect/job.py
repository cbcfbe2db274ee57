"""The detect job: a Faust agent that hands records to the session, and the life cycle around it.

Wiring only. What is decided is in `core.decide`, what is stored and when in `session`. One worker
holds the whole topic; what it holds when it is asked to stop is saved.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from faust.types import TP, EventT, StreamT

from tokentide_jobs.core.decide.decisions import Decisions
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.record.record import record_ms
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.kafka.admin import topic_log_id
from tokentide_jobs.io.kafka.control import ControlPublisher
from tokentide_jobs.io.kafka.offsets import offset_ranges
from tokentide_jobs.jobs.detect.reported import Reported
from tokentide_jobs.jobs.detect.session import DetectSession
from tokentide_jobs.jobs.runtime.faust_app import JobApp, JobConsumer
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.waiting import Stopped
from tokentide_jobs.settings import Settings
from tokentide_schemas.topics import WINDOWS_TOPIC

__all__ = ["DetectJob"]

_log = logging.getLogger(__name__)

_BUFFERED_BYTES: Final = 16 * 1024 * 1024
_TAKEN_AT_ONCE: Final = 256
_ANSWER_S: Final = 60.0
"""Below Faust's own limit of 90 s, after which it would never look for positions again."""
_REPORT_AGAIN_S: Final = 1.0
_IDLE_LOOK_S: Final = 2.0

Found = Callable[[Decisions, int], None]


class DetectJob:
    """One worker's hold on the topic of deltas. Belongs to one event loop.

    Args:
        settings: Broker and deadlines.
        session: The state and the store.
        control: Where states are reported.
        health: Shown at `/healthz` and `/readyz`.
        found: Reported about decisions, with the number of records they come from.
        stop: Set to end what the session waits for.
    """

    def __init__(
        self,
        settings: Settings,
        session: DetectSession,
        control: ControlPublisher,
        health: Health,
        found: Found,
        stop: threading.Event,
    ) -> None:
        self.session = session
        self.is_active = False
        self._settings = settings
        self._control = control
        self._health = health
        self._found = found
        self._stop = stop
        self._app: JobApp | None = None
        self._after: Callable[[], Awaitable[None]] | None = None
        self._waiting: deque[DeltaRecord] = deque()
        self._waiting_bytes = 0
        self._expected: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._crash: asyncio.Future[None] | None = None

    def attach(self, app: JobApp, after: Callable[[], Awaitable[None]]) -> None:
        """Add the agent and the hooks to the app; `after` ends what the app uses."""
        self._app = app
        self._after = after
        topic = app.topic(
            WINDOWS_TOPIC.name,
            key_type=bytes,
            key_serializer="raw",
            value_type=bytes,
            value_serializer="raw",
        )

        @app.agent(topic, name="detect", concurrency=1)
        async def detect(stream: StreamT[bytes]) -> None:
            async for event in stream.events():
                await self.take(event)

        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_before_shutdown.connect(self._on_shutdown, weak=False)

    async def take(self, event: EventT[bytes]) -> None:
        """Hand one Kafka record on; waits while too much waits already."""
        message: Any = event.message
        number, offset = message.tp.partition, message.offset
        if offset < self._expected.get(number, 1 << 62):
            return  # read before, or of a partition that is not ours any more
        self._expected[number] = offset + 1
        value = message.value or b""
        headers = message.headers or ()
        named = tuple(headers.items() if isinstance(headers, Mapping) else headers)
        stamp_us = max(0, record_ms(message.timestamp)) * 1000
        self._waiting.append(DeltaRecord(number, offset, stamp_us, named, value))
        self._waiting_bytes += len(value)
        self._changed.set()
        if self._waiting_bytes > _BUFFERED_BYTES:
            self._room.clear()
            await self._room.wait()

    async def positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Return where to begin, and begin: the newest snapshot, or where this worker was."""
        await self._pause()
        numbers = {tp.partition for tp in assigned if tp.topic == WINDOWS_TOPIC.name}
        if not numbers:
            return {}
        if not self.is_active:
            self._health.starting("reading the last snapshot")
            bootstrap, topic = self._settings.kafka_bootstrap, WINDOWS_TOPIC.name
            async with asyncio.timeout(_ANSWER_S):
                topic_id = await topic_log_id(bootstrap, topic)
                ranges = await offset_ranges(bootstrap, topic)
                held = {number: (found.start, found.end) for number, found in ranges.items()}
                await asyncio.to_thread(self.session.begin, topic_id, held)
        self.is_active = True
        self._control.epoch = self._consumer().generation
        self._expected = dict(self.session.positions)
        self._work = asyncio.create_task(self._take_all(), name="detect")
        self._work.add_done_callback(self._ended)
        self._health.starting("")
        return {TP(WINDOWS_TOPIC.name, number): at for number, at in self._expected.items()}

    async def _take_all(self) -> None:
        """Decide on what comes until cancelled; a step that has begun is ended first."""
        while True:
            if not self._waiting:
                self._changed.clear()
                try:
                    async with asyncio.timeout(_IDLE_LOOK_S):
                        await self._changed.wait()
                except TimeoutError:
                    await _whole(self._idle())
                    continue
            records = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), _TAKEN_AT_ONCE))
            ]
            self._waiting_bytes = sum(len(record.value) for record in self._waiting)
            self._room.set()
            await _whole(self._step(records))

    async def _idle(self) -> None:
        await self._report(await asyncio.to_thread(self.session.idle))

    async def _step(self, records: list[DeltaRecord]) -> None:
        decisions, reported = await asyncio.to_thread(self.session.take, records)
        await self._report(reported)
        self._found(decisions, len(records))
        await self._report(await asyncio.to_thread(self.session.follow_up, decisions))
        if self._app is not None:
            consumer = self._consumer()
            for number, at in self.session.positions.items():
                consumer.stored(TP(WINDOWS_TOPIC.name, number), at)

    async def _report(self, reported: Reported) -> None:
        """Publish states until the broker has them: the newest is what services go by."""
        while not self._stop.is_set():
            try:
                if reported.states:
                    await self._control.publish(reported.states)
                if reported.ended:
                    await self._control.end(reported.ended)
            except RetriableSinkError as exc:
                log_event(_log, logging.WARNING, "states_not_reported", error=str(exc))
                await asyncio.sleep(_REPORT_AGAIN_S)
            else:
                return
        raise Stopped("report")

    async def _pause(self) -> None:
        """End the step in hand; what waits will be read again."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            _done, pending = await asyncio.wait({work}, timeout=self._settings.drain_s)
            if pending:
                # It waits for a store that does not answer. What it began is not known to be
                # stored, so the next hold begins with the last snapshot.
                self._stop.set()
                await asyncio.wait(pending)
                self._stop.clear()
                self.is_active = False
        self._waiting.clear()
        self._waiting_bytes = 0
        self._expected = {}
        self._room.set()

    def _ended(self, work: asyncio.Task[None]) -> None:
        """End the worker, loudly, when deciding failed by an error that is no outage."""
        if work.cancelled() or self._app is None:
            return
        exc = work.exception()
        if exc is not None and not isinstance(exc, Stopped):
            log_event(_log, logging.CRITICAL, "detection_failed", error=repr(exc))
            self._crash = asyncio.ensure_future(self._app.crash(exc))

    def _consumer(self) -> JobConsumer:
        assert self._app is not None
        consumer = self._app.consumer
        assert isinstance(consumer, JobConsumer)
        return consumer

    async def _on_assigned(self, *args: Any, **_kwargs: Any) -> None:
        _app, assigned = args
        if not assigned:
            self.is_active = False  # another worker goes on: its snapshots are newer than ours
            await self._pause()
            self._health.starting("")  # it stands by

    async def _on_revoked(self, *_args: Any, **_kwargs: Any) -> None:
        await self._pause()

    async def _on_shutdown(self, *_args: Any, **_kwargs: Any) -> None:
        self._health.stopping()
        await self._pause()
        if self.is_active:
            try:
                async with asyncio.timeout(self._settings.drain_s):
                    await asyncio.to_thread(self.session.snapshot)
            except TimeoutError:
                log_event(_log, logging.WARNING, "not_saved", drain_s=self._settings.drain_s)
        self._stop.set()
        if self._after is not None:
            await self._after()


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, also when its caller is cancelled meanwhile."""
    step = asyncio.create_task(work)
    try:
        await asyncio.shield(step)
    except asyncio.CancelledError:
        await step
        raise
