"""The producer behind `Telemetry`, recorders and instrumented calls: events go in here.

It belongs to a service, its engine to a process: a forked process gets an engine of its own at its
first event. Invariant: nothing here raises, blocks or waits for a lock, except `flush` and `close`,
which wait no longer than they are given.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from time import time_ns
from typing import TYPE_CHECKING

from tokentide.delivery.buffer import DeferredEvent
from tokentide.delivery.counters import ProducerStats
from tokentide.delivery.transport import FrameSender
from tokentide.engine import Engine, importing_threads
from tokentide.settings import Settings

if TYPE_CHECKING:
    from tokentide.content.collected import CollectedTexts
    from tokentide.control.table import StateTable

_live: weakref.WeakSet[Producer] = weakref.WeakSet()
_engines: set[Engine] = set()
"""Engines with a thread, kept until closed so that the interpreter's exit can flush them."""
_inherited: list[Engine] = []
"""Engines of the parent process. They are kept, never used: destroying one would unregister and
close descriptors that a forked child shares with its parent."""

MAX_DEFERRED = 128
"""Events in the queue beyond which new ones are built by the thread that emits them."""


class Producer:
    """Takes events from any thread of any process of a service.

    Args:
        settings: Validated settings.
        sender: What carries frames away; Kafka when absent.

    Attributes:
        settings: As given.
        is_enabled: False when the settings say that nothing is emitted.
        engine: That of this process, unless a fork was not noticed yet; see `own_engine`.
        has_gate: Whether events are looked at when they are emitted (redaction, content), so that
            none may be built later.
        reference: A weak reference, for what must not keep the producer alive.
    """

    __slots__ = (
        "__weakref__", "_by_pid", "_sender", "engine", "has_gate", "is_enabled", "reference",
        "settings",
    )  # fmt: skip

    def __init__(self, settings: Settings, sender: FrameSender | None) -> None:
        self.settings = settings
        self.is_enabled = not settings.disabled
        self.reference = weakref.ref(self)
        self._sender = sender
        self.engine = self._new_engine()
        self.has_gate = self.engine.gate is not None
        self._by_pid: dict[int, Engine] = {self.engine.pid: self.engine}
        _live.add(self)

    # -- events -----------------------------------------------------------------------------

    def put(self, event: dict[str, object], texts: CollectedTexts | None = None) -> None:
        """Queue an event without copying it: the caller keeps no reference; all events pass here.

        Args:
            event: The event.
            texts: Prompt and response of the call, where the settings ask for them.
        """
        engine = self.engine
        try:
            if not engine.is_own_process[0]:
                engine = self._forked()
            if engine.is_closed:
                engine.after_close.add()
                return
            if "user" in event:
                _hash_user(self.settings, event)
            if engine.gate is not None:
                passed = engine.gate(event, texts)
                if passed is None:
                    return
                event = passed
            now_ns = time_ns()
            engine.buffer.put(now_ns, event)
            if not engine.is_started:
                self._start(engine, now_ns)
        except Exception as exc:
            engine.note_internal(exc)

    def put_deferred(self, deferred: DeferredEvent) -> None:
        """Queue an event that the background thread builds, or build it here and now.

        What waits may keep a response alive, so only a few may.
        """
        engine = self.engine
        try:
            if not self.is_enabled:
                return
            if not engine.is_own_process[0]:
                engine = self._forked()
            now_ns = time_ns()
            if engine.is_closed or not engine.buffer.put_deferred(now_ns, deferred, MAX_DEFERRED):
                self.put(deferred.build())
            elif not engine.is_started:
                self._start(engine, now_ns)
        except Exception as exc:
            engine.note_internal(exc)

    def count_invalid(self) -> None:
        """Count something that was emitted and is no event."""
        self.engine.invalid.add()

    def new_id(self, epoch_ns: int) -> str:
        """Return the id of a new event at `epoch_ns`."""
        return self.own_engine().ids.new(epoch_ns)

    def _start(self, engine: Engine, now_ns: int) -> None:
        try:
            if engine not in _engines:
                for ended in [other for other in _engines.copy() if other.has_ended]:
                    _engines.discard(ended)
                _engines.add(engine)
                _register_with_multiprocessing()
            engine.start(now_ns)
        except Exception as exc:  # the event is in the queue; only its sending is delayed
            engine.note_internal(exc, events=0)

    # -- states that are read back ----------------------------------------------------------

    def states(self) -> StateTable | None:
        """Return the states that were read back; None where the settings do not ask for them."""
        engine = self.own_engine()
        if engine.control is None or not self.is_enabled:
            return None
        if not engine.is_started and not engine.is_closed:
            self._start(engine, time_ns())
        return engine.control

    # -- life -------------------------------------------------------------------------------

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything emitted so far is settled; False at the deadline."""
        try:
            return self.own_engine().flush(timeout_s)
        except Exception as exc:
            self.engine.note_internal(exc, events=0)
            return False

    def close(self, timeout_s: float) -> None:
        """Deliver what is left, as far as `timeout_s` allows, and stop."""
        try:
            engine = self.own_engine()
            engine.close(timeout_s)
            _engines.discard(engine)
        except Exception as exc:
            self.engine.note_internal(exc, events=0)

    def stats(self) -> ProducerStats:
        """Return this process's counters."""
        return self.own_engine().stats()

    # -- processes --------------------------------------------------------------------------

    def own_engine(self) -> Engine:
        """Return the engine of this process."""
        engine = self.engine
        return engine if engine.is_own_process[0] else self._forked()

    def _new_engine(self) -> Engine:
        reference = self.reference
        return Engine(self.settings, self._sender, is_orphaned=lambda: reference() is None)

    def _forked(self) -> Engine:
        """Leave the parent's engine behind; also found out here where fork hooks do not run."""
        pid = os.getpid()
        # One step for all threads, which agree on one new engine: "One winner without a lock" in
        # docs/producer-internals.md.
        engine = self._by_pid.setdefault(pid, self._new_engine())
        if self.engine is not engine:
            _inherited.append(self.engine)
            _engines.discard(self.engine)
            self.engine = engine
        for other in list(self._by_pid):
            if other != pid:  # an ancestor's number may be given out again
                self._by_pid.pop(other, None)
        return engine


def _hash_user(settings: Settings, event: dict[str, object]) -> None:
    """Put the keyed hash of a user in the place of the user."""
    from tokentide.privacy import hash_user

    user_hash = hash_user(settings, event.pop("user"))
    if user_hash is not None:
        event.setdefault("user_hash", user_hash)


def _before_fork() -> None:
    # A child would wait for ever for a module whose import another thread had begun.
    deadline_s = time.monotonic() + 2.0
    while importing_threads and time.monotonic() < deadline_s:
        time.sleep(0.001)


def _after_fork_in_child() -> None:
    importing_threads.clear()
    for producer in list(_live):
        producer.own_engine()


def _close_all() -> None:
    """Deliver what is left when the interpreter exits, within one deadline for all."""
    engines = [engine for engine in list(_engines) if engine.is_own_process[0]]
    deadline_s = time.monotonic() + max(
        (engine.settings.exit_timeout_s for engine in engines), default=0.0
    )
    for engine in engines:
        engine.close(min(engine.settings.exit_timeout_s, max(0.0, deadline_s - time.monotonic())))
        _engines.discard(engine)


def _register_with_multiprocessing() -> None:
    """Make a child of `multiprocessing` deliver at its end: it ends without `atexit`."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=100)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
