"""One producer in one process: the buffer, the background thread, and their end.

An engine belongs to the process that made it. A forked child makes its own and keeps the inherited
one untouched, because the thread did not survive the fork while its sockets are still the parent's.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tokentide.delivery.buffer import Buffer
from tokentide.delivery.counters import Counters, ProducerStats, describe, stats_event
from tokentide.delivery.forks import new_process_mark
from tokentide.delivery.tally import Tally
from tokentide.delivery.threads import must_wait_for_fork, start_thread
from tokentide.delivery.transport import FrameSender
from tokentide.ids import EventIds
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings

if TYPE_CHECKING:
    from tokentide.control.table import StateTable
    from tokentide.delivery.dispatcher import Dispatcher
    from tokentide.delivery.runner import Companion
    from tokentide.gate import Gate

START_RETRY_NS = 1_000_000_000
"""Pause after a thread could not be started: a host at its limit should not be pressed."""

LOOK_S = 0.05
"""How often a wait for the background thread looks whether it has ended before it ran."""

SAVE_S = 0.5
"""Part of the time to close in that is kept for the disk, if the broker used up the rest."""

importing_threads: set[int] = set()
"""Threads that are importing modules for us; a fork in that moment would break those imports."""


class Engine:
    """Everything of a producer that must not be shared between processes.

    Args:
        settings: Validated settings.
        sender: What carries frames away; Kafka when absent.
        is_orphaned: Whether the `Telemetry` this engine belongs to is gone.
    """

    def __init__(
        self,
        settings: Settings,
        sender: FrameSender | None,
        is_orphaned: Callable[[], bool] = lambda: False,
    ) -> None:
        self.pid = os.getpid()
        self.is_own_process = new_process_mark()
        """`is_own_process[0]` is 1 in the process with this id, 0 in those forked from it."""
        self.settings = settings
        self.ids = EventIds()
        self.buffer = Buffer(settings.queue_events, keeps_oldest=settings.drop_policy == "newest")
        self.invalid = Tally()
        self.after_close = Tally()
        self.internal = Tally()
        self.producer_id = self.ids.new(time.time_ns())
        self.is_closed = False
        self.is_started = False
        """Whether the background thread runs, or has run to its end."""
        self._counters = Counters()
        self._sender = sender
        self._is_orphaned = is_orphaned
        self._log = RateLimitedLog()
        self._started_ns = time.monotonic_ns()
        self._dispatcher: Dispatcher | None = None
        self._must_end = False
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._start_after_ns = 0
        self._written_off = 0
        # The thread that pops the only element starts the background thread: "One winner without
        # a lock" in docs/producer-internals.md.
        self._may_start: deque[None] = deque([None])
        self._unstarted: deque[tuple[Callable[[], bool], list[bool]]] = deque()
        """Of the thread that was started last: whether it is there, and whether it has begun."""
        self._was_unstarted = False
        """Whether the thread before ended before it ran, so that the next start has to wait."""
        self.gate: Gate | None = None
        """What every event passes before it is queued; None when no setting asks for it."""
        self.control: StateTable | None = None
        """States that are read back; None when no setting asks for them."""
        if settings.read_control:
            from tokentide.control.table import StateTable

            self.control = StateTable(settings.control_bytes)
        if settings.redact or settings.detect or settings.capture_content != "none":
            from tokentide.gate import Gate

            self.gate = Gate(settings, self.ids.new, self._log)

    # -- caller's side ----------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Start the background thread, once; a failure is counted, logged and tried again."""
        if now_ns < self._start_after_ns:
            return
        if must_wait_for_fork() and not self.is_closed:
            self._log.report(
                "uwsgi",
                "events emitted before uwsgi forks are not sent: emit them in a postfork hook, or "
                "set lazy-apps",
            )
            return
        try:
            self._may_start.pop()
        except IndexError:
            self._look_for_unstarted(now_ns)
            return
        self._ended.clear()
        self._ready.clear()
        self._unstarted.clear()
        begun: list[bool] = []
        try:
            self._unstarted.append((start_thread(partial(self._run, begun)), begun))
        except Exception as exc:
            self._counters.note_failure(exc)
            self._log.report("start", "the background thread could not be started: %r", exc)
            self._allow_start(now_ns, START_RETRY_NS)

    def _look_for_unstarted(self, now_ns: int) -> None:
        """Start another thread if the last has ended before it began; at once, the first time."""
        try:
            is_alive, begun = self._unstarted.pop()  # one caller looks
        except IndexError:
            return
        if is_alive():
            self._unstarted.append((is_alive, begun))
        elif not begun:
            self._counters.note_failure("the background thread ended before it ran")
            self._log.report("start", "the background thread ended before it ran: is it traced?")
            self._allow_start(now_ns, START_RETRY_NS if self._was_unstarted else 0)
            self._was_unstarted = True
            self.start(now_ns)

    def _allow_start(self, now_ns: int, pause_ns: int) -> None:
        self._start_after_ns = now_ns + pause_ns
        self.is_started = False
        self._may_start.append(None)

    def note_internal(self, error: Exception, events: int = 1) -> None:
        """Log an error of our own, and count the event it cost, if any; never raises."""
        for _ in range(events):
            self.internal.add()
        self._log.report(
            "internal", "%d events lost to an internal error: %s", events, describe(error)
        )

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything emitted so far is settled, at most `timeout_s`."""
        deadline_s = time.monotonic() + max(0.0, timeout_s)
        # Events first: content may wait for a topic that does not exist.
        is_settled = self._flush_events(timeout_s)
        return self._flush_content(deadline_s) and is_settled

    def _flush_content(self, deadline_s: float) -> bool:
        channel = self.gate.channel if self.gate is not None else None
        return channel is None or channel.flush(
            lambda dispatcher: dispatcher.wait_until_settled(deadline_s)
        )

    def _flush_events(self, timeout_s: float, *, accepts_spooled: bool = False) -> bool:
        """As `flush`, of events alone.

        Args:
            timeout_s: Seconds to wait at most.
            accepts_spooled: While the broker is away, on the disk is as good as settled.
        """
        deadline_s = time.monotonic() + max(0.0, timeout_s)
        if not self.is_started:
            if not len(self.buffer):
                return True
            self.start(time.time_ns())
            if self._may_start:
                return False
        if not self._wait_until_ready(deadline_s):
            return False
        dispatcher = self._dispatcher
        if dispatcher is None or self._ended.is_set():
            return self.queued == 0
        return dispatcher.wait_until_settled(deadline_s, accepts_spooled=accepts_spooled)

    def _wait_until_ready(self, deadline_s: float) -> bool:
        """Wait for the background thread, and start another if it ends before it runs."""
        while True:
            left_s = deadline_s - time.monotonic()
            if self._ready.wait(max(0.0, min(left_s, LOOK_S))):
                return True
            if left_s <= LOOK_S:
                return False
            self.start(time.time_ns())

    def close(self, timeout_s: float) -> None:
        """Deliver what is undelivered, as far as `timeout_s` allows, and end the thread."""
        if self.is_closed:
            return
        self.is_closed = True
        deadline_s = time.monotonic() + max(0.0, timeout_s)
        if self.settings.spool_dir:
            timeout_s -= min(SAVE_S, timeout_s / 2)
        if not self._may_start or len(self.buffer):
            if self._flush_events(timeout_s, accepts_spooled=True) and not self.has_ended:
                # A last set of counters, now that they are final.
                self.put_stats()
                self._flush_events(deadline_s - time.monotonic(), accepts_spooled=True)
            self._flush_content(deadline_s)
            self._must_end = True
            if self._dispatcher is not None:
                self._dispatcher.stop()
                self._ended.wait(max(0.0, deadline_s - time.monotonic()))
        self._report_left_over()

    def _report_left_over(self) -> None:
        undelivered = self.queued
        if undelivered:
            self._counters.drop("closed", undelivered)
            self._log.report(
                "undelivered",
                "closed with %d of %d events not delivered to %s; last error: %s",
                undelivered,
                self.buffer.offered.value,
                self.settings.bootstrap,
                self._counters.last_error or "none",
            )
        # What was counted as dropped must not be counted as queued too.
        self._written_off = undelivered
        if self.gate is not None and self.gate.channel is not None:
            self.gate.channel.write_off()
        spooled = self.spooled
        if spooled:
            self._log.report(
                "kept",
                "closed with %d events on the disk in %s, for the next process to deliver",
                spooled,
                self.settings.spool_dir,
            )

    # -- counters ---------------------------------------------------------------------------

    @property
    def has_ended(self) -> bool:
        """Whether the background thread has run and is gone."""
        return self._ended.is_set()

    @property
    def queued(self) -> int:
        """Events in memory, wherever they are."""
        dispatcher = self._dispatcher
        return len(self.buffer) + (dispatcher.queued if dispatcher is not None else 0)

    @property
    def spooled(self) -> int:
        """Events on the disk."""
        dispatcher = self._dispatcher
        return dispatcher.backlog.spooled_events if dispatcher is not None else 0

    def dropped(self) -> dict[str, int]:
        """Return events dropped so far, by reason."""
        counts = dict(self._counters.dropped)
        for reason, tally in (
            ("queue_full", self.buffer.refused),
            ("queue_evicted", self.buffer.evicted),
            ("invalid", self.invalid),
            ("after_close", self.after_close),
            ("internal", self.internal),
        ):
            if tally.value:
                counts[reason] = tally.value
        if self.gate is not None and self.gate.redacted.value:
            counts["redacted"] = self.gate.redacted.value
        return counts

    def stats(self) -> ProducerStats:
        """Return a snapshot of all counters."""
        counters = self._counters
        dispatcher = self._dispatcher
        gate = self.gate
        unqueued = self.invalid.value + self.after_close.value + self.internal.value
        return ProducerStats(
            producer_id=self.producer_id,
            emitted=self.buffer.offered.value
            + unqueued
            + (gate.redacted.value if gate is not None else 0),
            delivered=counters.delivered,
            failed=counters.failed,
            dropped=self.dropped(),
            queued=max(0, self.queued - self._written_off),
            delivered_frames=counters.delivered_frames,
            delivered_bytes=counters.delivered_bytes,
            retries=counters.retries,
            fields_dropped=counters.fields_dropped,
            fields_altered=counters.fields_altered,
            spooled=self.spooled,
            spool_bytes=dispatcher.backlog.spool_bytes if dispatcher is not None else 0,
            replayed=counters.replayed,
            adopted=counters.adopted,
            spool_errors=counters.spool_errors,
            redact_failures=gate.failures if gate is not None else 0,
            content=gate.channel.stats() if gate is not None and gate.channel is not None else {},
            control=self.control.stats() if self.control is not None else {},
            connected=counters.connected,
            last_error=counters.last_error,
        )

    def put_stats(self) -> None:
        """Queue a `stats` event with the counters as they are now."""
        uptime_ms = (time.monotonic_ns() - self._started_ns) / 1e6
        event = stats_event(
            self.stats(),
            uptime_ms,
            has_spool=bool(self.settings.spool_dir),
            has_gate=self.gate is not None,
        )
        self.buffer.put(time.time_ns(), event)

    # -- background thread ------------------------------------------------------------------

    def _run(self, begun: list[bool]) -> None:
        begun.append(True)
        self._was_unstarted = False
        self.is_started = True
        has_died = False
        try:
            self._work()
        except BaseException as exc:
            # The thread's own end, whatever it was; a host must never see it.
            has_died = True
            self._counters.note_failure(exc)
            self._log.report("thread", "the background thread ended: %s", describe(exc))
            dispatcher, self._dispatcher = self._dispatcher, None
            if dispatcher is not None:
                # Its frames go with it; what is still in the buffer waits for the next thread.
                self._counters.drop("thread_died", dispatcher.queued)
            if self.gate is not None and self.gate.channel is not None:
                self.gate.channel.drop_dispatcher("thread_died")
        finally:
            self._ended.set()
            self._ready.set()
            if has_died and not self.is_closed:
                self._allow_start(time.time_ns(), START_RETRY_NS)

    def _work(self) -> None:
        channel = self.gate.channel if self.gate is not None else None
        importing_threads.add(threading.get_ident())
        try:
            from tokentide import assembly
            from tokentide.delivery.runner import run_dispatcher

            self._dispatcher = assembly.event_dispatcher(
                self.settings,
                self.buffer,
                assembly.make_encoder(self.settings, self.ids, self._counters),
                self._counters,
                sender=self._sender,
                producer_id=self.producer_id,
                put_stats=self.put_stats,
                total_dropped=lambda: sum(self.dropped().values()),
                is_orphaned=self._may_end,
                log=self._log,
            )
            companions: list[Companion] = []
            if channel is not None:
                content_dispatcher = channel.make_dispatcher(
                    channel.make_sender(self._sender, self.producer_id),
                    assembly.make_encoder(self.settings, self.ids, channel.counters),
                )
                companions.append(content_dispatcher)
            if self.control is not None:
                from tokentide.control.reader import ControlReader

                companions.append(ControlReader(self.settings, self.control, self._log))
        finally:
            importing_threads.discard(threading.get_ident())
        self._ready.set()
        if self._must_end:  # `close` has given up before there was a dispatcher to stop
            self._dispatcher.stop()
        run_dispatcher(self._dispatcher, *companions)

    def _may_end(self) -> bool:
        """Return whether no caller can emit any more and nothing sendable waits."""
        # `close` still emits a last `stats` event, so the thread does not end by itself then.
        return self._is_orphaned() and not self.is_closed and self._has_no_sendable_content()

    def _has_no_sendable_content(self) -> bool:
        """Return whether no content waits that can be expected to be sent."""
        channel = self.gate.channel if self.gate is not None else None
        return channel is None or channel.is_stuck or not channel.queued
