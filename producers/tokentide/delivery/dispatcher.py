"""The background thread's work: collect what was emitted, frame it, hand frames to the sender.

Two tasks of one event loop. One runs every `linger_ms` and turns events into frames; the other
sends the oldest frames and retries until they are settled. Invariant: a frame leaves memory only
when it was acknowledged, refused for good, or dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tokentide.delivery.backlog import Backlog
from tokentide.delivery.buffer import Buffer, Entry
from tokentide.delivery.counters import Counters
from tokentide.delivery.encoding import Encoder
from tokentide.delivery.framing import Frame, Framer
from tokentide.delivery.transport import FrameRejected, FrameSender
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings

SLICE_EVENTS = 250
"""Events encoded before other threads get a turn: under a millisecond of the interpreter lock."""
MAX_EVENT_BYTES = 256 * 1024
"""A larger event is dropped: with its neighbours it must stay below the broker's record limit."""
BATCH_BYTES = 768 * 1024
"""Payload handed to the sender at once: below Kafka's default limit of 1 MiB uncompressed."""
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
"""Pauses between tries double up to this. The SDK has them of its own: `Backoff` is a part of the
pipeline, of which it imports nothing."""
CLOSE_SENDER_S = 1.0
"""Longest wait for a sender to close its connection; it may hang."""


@dataclass(slots=True)
class FlushRequest:
    """A caller waits until everything emitted before is settled."""

    passed: int | None = None
    """Position in the buffer that has to be reached; set by the dispatcher."""
    done: threading.Event = field(default_factory=threading.Event)
    """Set when there is nothing more to wait for, settled or not."""
    is_settled: bool = False
    last_frame: int | None = None
    """Number of the frame that has to be settled, once the position was reached."""
    accepts_spooled: bool = False
    """While the broker is away, events that are safe on the disk are nothing to wait for."""
    is_spooled: bool = False
    """Whether that is how it ended."""


class Dispatcher:
    """Moves events from the buffer to the sender until stopped.

    All methods but `wake`, `ask` and `stop` run on the event loop of the background thread.
    `put_stats` queues a `stats` event, `total_dropped` returns the drops of the whole producer, and
    `is_orphaned` whether no caller can emit any more, so that this may end when it is done.
    """

    def __init__(
        self,
        settings: Settings,
        buffer: Buffer,
        encoder: Encoder,
        sender: FrameSender,
        counters: Counters,
        *,
        put_stats: Callable[[], None],
        total_dropped: Callable[[], int],
        is_orphaned: Callable[[], bool] = lambda: False,
        backlog: Backlog | None = None,
        log: RateLimitedLog | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._buffer = buffer
        self._encoder = encoder
        self._sender = sender
        self._counters = counters
        self._put_stats = put_stats
        self._total_dropped = total_dropped
        self._is_orphaned = is_orphaned
        self._log = log or RateLimitedLog()
        self._clock = clock
        self._pause = pause
        self._stats_due_s = clock() + settings.stats_interval_s
        self._framer = Framer(settings.frame_events, settings.frame_bytes)
        self.backlog = Backlog(settings.backlog_bytes) if backlog is None else backlog
        self._requests: deque[FlushRequest] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._frames = asyncio.Event()
        self._is_open = False
        self._waits_for_room = False
        self._stopping = False
        self._has_ended = False
        self._jitter = random.Random()  # noqa: S311

    @property
    def queued(self) -> int:
        """Events this dispatcher holds: being framed, waiting, or in flight."""
        return len(self._framer) + self.backlog.events

    def wake(self) -> None:
        """Make the collector run now; from any thread."""
        loop = self._loop
        if loop is not None:
            # A loop that was closed meanwhile has nothing left to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake.set)

    def ask(self, request: FlushRequest) -> None:
        """Register a flush and start on it at once; from any thread."""
        self._requests.append(request)
        # In this order, and `run` does it the other way round: one of the two sees the other.
        if self._has_ended:
            request.done.set()
        self.wake()

    def wait_until_settled(self, deadline_s: float, *, accepts_spooled: bool = False) -> bool:
        """Wait until all events queued before are settled, or until the deadline; from any thread.

        Args:
            deadline_s: On the clock of `time.monotonic`.
            accepts_spooled: While the broker is away, on the disk is as good as settled.
        """
        request = FlushRequest(accepts_spooled=accepts_spooled)
        self.ask(request)
        request.done.wait(max(0.0, deadline_s - time.monotonic()))
        return request.is_settled or request.is_spooled

    def stop(self) -> None:
        """Make `run` return soon, whatever is left; from any thread."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Work until stopped or orphaned with nothing left to do."""
        self._loop = asyncio.get_running_loop()
        self._wake.set()  # for flushes requested before there was a loop
        sending = asyncio.create_task(self._deliver())
        try:
            await self._collect_until_stopped()
        finally:
            self._stopping = True  # a sending may miss its cancellation in `wait_for`
            self.backlog.save()
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
            await self._close_sender()
            self.backlog.close()
            self._has_ended = True
            for request in self._requests.copy():
                request.done.set()

    # -- collecting -------------------------------------------------------------------------

    async def _collect_until_stopped(self) -> None:
        loop = asyncio.get_running_loop()
        linger_s = self._settings.linger_ms / 1000
        busy_events = self._settings.queue_events // 4
        delay_s = linger_s
        while not self._stopping:
            # A plain timer: `wait_for` costs a task, a cancellation and an exception each time.
            timer = loop.call_later(delay_s, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            # Long pauses make full frames and few requests; a queue that fills up cannot wait.
            delay_s = linger_s if len(self._buffer) < busy_events else linger_s / 4
            try:
                await self.collect()
            except Exception as exc:
                # Nothing here is expected to fail; if it does, the next round goes on.
                self._log.report("collect", "events could not be collected: %r", exc)
            is_done = self.backlog.first_number is None and not len(self._framer)
            if is_done and not len(self._buffer) and self._is_orphaned():
                return
        if self.backlog.is_durable:
            await self.collect()  # what came in with the stop is saved too

    async def collect(self) -> None:
        """Encode and frame what is in the buffer, as far as there is room behind it."""
        if self._clock() >= self._stats_due_s:
            self._stats_due_s = self._clock() + self._settings.stats_interval_s
            self._put_stats()
        for request in self._requests.copy():
            if request.passed is None:
                request.passed = self._buffer.passed + len(self._buffer)
        while len(self._buffer) and self._has_room():
            self._frame(self._buffer.take(SLICE_EVENTS))
            if len(self._buffer):
                await asyncio.sleep(0)
        self._waits_for_room = len(self._buffer) > 0
        self._queue(self._framer.cut())
        self.backlog.maintain()
        if not self.backlog.is_empty:
            self._frames.set()
        self._answer()

    def _frame(self, entries: list[Entry]) -> None:
        dropped_before = self._total_dropped()
        encode = self._encoder.encode
        lines: list[bytes] = []
        for entry in entries:
            try:
                line = encode(entry, dropped_before)
            except Exception as exc:
                self._log.report("encode", "an event could not be encoded: %r", exc)
                line = None
            if line is None:
                self._counters.drop("not_encodable")
            elif len(line) > MAX_EVENT_BYTES:
                self._counters.drop("too_large")
            else:
                lines.append(line)
        for frame in self._framer.add_all(lines):
            self._queue(frame)

    def _has_room(self) -> bool:
        if self._settings.drop_policy == "newest":
            return not self.backlog.is_full
        return True

    def _queue(self, frame: Frame | None) -> None:
        if frame is None:
            return
        self.backlog.add(frame)
        if self._settings.drop_policy == "oldest":
            self._counters.drop("backlog_full", self.backlog.drop_excess())
        self._frames.set()

    def _answer(self) -> None:
        """Complete the flushes whose events are all settled."""
        first = self.backlog.first_number
        is_spooled = self._counters.is_failing and not self.queued
        for request in self._requests.copy():
            has_position = request.passed is not None and self._buffer.passed >= request.passed
            if request.last_frame is None and has_position and not len(self._framer):
                request.last_frame = self._framer.next_number - 1
            if request.last_frame is None:
                continue
            request.is_settled = first is None or first > request.last_frame
            request.is_spooled = request.accepts_spooled and is_spooled
            if request.is_settled or request.is_spooled:
                request.done.set()
                self._requests.remove(request)

    # -- sending ----------------------------------------------------------------------------

    async def _deliver(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stopping:
            if self.backlog.is_empty:
                self._frames.clear()
                await self._frames.wait()
            # A copy, because settling a frame takes it out of the list.
            batch = list(self.backlog.in_flight) or self.backlog.start_batch(BATCH_BYTES)
            if not batch:  # what was on the disk is damaged
                continue
            try:
                await self._send(batch)
                backoff_s = FIRST_BACKOFF_S
            except Exception as exc:
                self._counters.note_failure(exc)
                self._log.report(
                    "send",
                    "%d events wait, sending to %s fails and is retried: %s",
                    self.queued + len(self._buffer),
                    self._settings.bootstrap,
                    self._counters.last_error,
                )
                await self._close_sender()
                await self._pause(backoff_s * self._jitter.uniform(0.75, 1.25))
                backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)
            self._answer()
            # Only then: to collect after each batch would cut frames short and cost twice as much.
            if self._waits_for_room:
                self._wake.set()

    async def _open(self) -> None:
        if not self._is_open:
            await self._sender.connect()
            self._is_open = True
            self._counters.connected = True

    async def _send(self, batch: list[Frame]) -> None:
        await self._open()
        try:
            await self._sender.send(batch)
        except FrameRejected as exc:
            if len(batch) == 1:
                self._refuse(batch[0], exc)
            # One bad frame must not take its neighbours along: the rest of the batch goes alone.
            else:
                await self._send_one_by_one(batch)
            return
        for frame in batch:
            self._settle(frame)

    async def _send_one_by_one(self, batch: list[Frame]) -> None:
        for frame in list(batch):
            await self._open()
            try:
                await self._sender.send([frame])
            except FrameRejected as exc:
                self._refuse(frame, exc)
                await self._close_sender()
            else:
                self._settle(frame)

    def _settle(self, frame: Frame) -> None:
        self.backlog.settle(frame)
        self._counters.connected = True
        self._counters.is_failing = False
        self._counters.delivered += frame.events
        self._counters.delivered_frames += 1
        self._counters.delivered_bytes += len(frame.payload)

    def _refuse(self, frame: Frame, error: FrameRejected) -> None:
        self.backlog.settle(frame)
        self._counters.failed += frame.events
        self._counters.last_error = str(error)[:500]
        self._log.report("refused", "the broker refused %d events: %s", frame.events, error)

    async def _close_sender(self) -> None:
        self._is_open = False
        self._counters.connected = False
        try:
            await asyncio.wait_for(self._sender.close(), CLOSE_SENDER_S)
        except Exception as exc:
            self._log.report("close", "closing the connection failed: %r", exc)
