"""The producer as a host sees it.

Constructing may raise on a bad setting. Nothing afterwards raises, blocks or waits for a lock,
except `flush` and `close`, which wait no longer than they are told to.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Mapping
from time import time_ns
from types import TracebackType
from typing import Self

from tokentide.context import fill
from tokentide.delivery.buffer import Late
from tokentide.delivery.counters import ProducerStats
from tokentide.delivery.transport import FrameSender
from tokentide.engine import Engine, importing
from tokentide.recorder import Recorder
from tokentide.settings import Settings
from tokentide.settings.environment import tell_unknown_variables

_live: weakref.WeakSet[Telemetry] = weakref.WeakSet()
_engines: set[Engine] = set()
"""Engines with a thread, kept until closed so that the interpreter's exit can flush them."""
_inherited: list[Engine] = []
"""Engines of the parent process. They are kept, never used: destroying one would unregister and
close descriptors that a forked child shares with its parent."""

MAX_LATE = 128
"""Events in the queue beyond which new ones are put together by whoever emits them."""
_FILLED = ("request", "evaluation", "feedback")
"""Events that a block of `tokentide.context` speaks of; the others concern the whole service."""


class Telemetry:
    """Sends events to the pipeline; one instance per process is enough.

    Args:
        sender: Carries frames away instead of Kafka, see `tokentide.testing`.
        settings: Fields of `tokentide.Settings`; what is absent comes from the environment.

    Raises:
        SettingsError: A setting cannot be used; the message names it, its value and the remedy.
    """

    def __init__(self, *, sender: FrameSender | None = None, **settings: object) -> None:
        self.settings = Settings.load(settings)
        tell_unknown_variables(os.environ, Settings.variables().values())
        self._is_enabled = not self.settings.disabled
        self._sender = sender
        self._engine = self._new_engine()
        self._by_pid: dict[int, Engine] = {self._engine.pid: self._engine}
        _live.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- events -----------------------------------------------------------------------------

    def emit(self, event: Mapping[str, object]) -> None:
        """Queues one event of any type, under the field names of the event contract.

        A shallow copy is taken, so the caller may go on using its mapping. `event_id` and
        `started_at_us` are filled in when absent (a `started_at_us` that is absent becomes now
        less `duration_ms`), and so are the fields that the settings give to every event and, for
        requests, evaluations and feedback, those that a block of `tokentide.context` names.
        """
        if not self._is_enabled:
            return
        try:
            copy = {**event} if type(event) is dict else dict(_as_mapping(event))
            # A key that is no plain text, but compares as it pleases, is found out here.
            kind = copy.get("type")
        except Exception:
            self._engine.invalid.add()
            return
        if type(kind) is str and kind in _FILLED:
            fill(copy, self.settings)
        self._emit_owned(copy)

    def _emit_owned(self, event: dict[str, object]) -> None:
        """Queues an event nobody else holds, without copying it; all events pass here."""
        engine = self._engine
        try:
            if not engine.is_here[0]:
                engine = self._forked()
            if engine.is_closed:
                engine.after_close.add()
                return
            if "user" in event:
                _hash_user(self.settings, event)
            if engine.gate is not None:
                passed = engine.gate(event)
                if passed is None:
                    return
                event = passed
            now_ns = time_ns()
            engine.buffer.put(now_ns, event)
            if not engine.is_started:
                self._start(engine, now_ns)
        except Exception as exc:
            engine.note_internal(exc)

    def _emit_late(self, late: Late) -> None:
        """Queues an event that the background thread puts together, or does it here and now.

        What waits may keep a response alive, so only a few may.
        """
        engine = self._engine
        try:
            if not self._is_enabled:
                return
            if not engine.is_here[0]:
                engine = self._forked()
            now_ns = time_ns()
            if engine.is_closed or not engine.buffer.put_late(now_ns, late, MAX_LATE):
                self._emit_owned(late.build())
            elif not engine.is_started:
                self._start(engine, now_ns)
        except Exception as exc:
            engine.note_internal(exc)

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

    def request(
        self,
        *,
        provider: str = "unknown",
        request_model: str = "unknown",
        operation: str = "chat",
        **fields: object,
    ) -> Recorder:
        """Returns a recorder for one LLM call: `with`, `async with`, or a decorator.

        Args:
            provider: Who serves the call, as in OpenTelemetry's `gen_ai.provider.name`.
            request_model: Model the call asks for.
            operation: What is done, as in `gen_ai.operation.name`.
            fields: Further fields of the event contract: tenant, feature, prompt_name, tags, ...
        """
        template: dict[str, object] = {
            "provider": provider,
            "request_model": request_model,
            "operation": operation,
            **fields,
        }
        emit = self._emit_owned if self._is_enabled else _nowhere
        return Recorder(emit, self._new_id, template, self.settings)

    def evaluation(
        self,
        name: str,
        *,
        score: float | None = None,
        label: str | None = None,
        target_event_id: str | None = None,
        **fields: object,
    ) -> None:
        """Queues the score of a response by a judge, a guardrail, code or a person.

        Args:
            name: What was evaluated: `faithfulness`, `toxicity`, ...
            score: The verdict as a number.
            label: The verdict as a word.
            target_event_id: `Recorder.event_id` of the call; without it give `response_id` or
                `conversation_id`.
            fields: Further fields: evaluator, passed, explanation, ...
        """
        self._verdict("evaluation", name, score, label, target_event_id, fields)

    def feedback(
        self,
        name: str,
        *,
        score: float | None = None,
        label: str | None = None,
        target_event_id: str | None = None,
        **fields: object,
    ) -> None:
        """Queues what an end user said of a response; arguments as in `evaluation`."""
        self._verdict("feedback", name, score, label, target_event_id, fields)

    def _verdict(
        self,
        kind: str,
        name: str,
        score: float | None,
        label: str | None,
        target_event_id: str | None,
        fields: dict[str, object],
    ) -> None:
        if self._is_enabled:
            event: dict[str, object] = {
                "type": kind,
                "name": name,
                "score": score,
                "label": label,
                "target_event_id": target_event_id,
                **fields,
            }
            fill(event, self.settings)
            self._emit_owned(event)

    def change(
        self,
        kind: str,
        subject: str,
        *,
        from_version: str | None = None,
        to_version: str | None = None,
        **fields: object,
    ) -> None:
        """Queues a change that may explain what the other events show.

        Args:
            kind: deploy, prompt, model, price or policy.
            subject: What was changed: the service, the prompt's or the model's name.
            from_version: Version before.
            to_version: Version after.
            fields: Further fields: description, actor, ...
        """
        if self._is_enabled:
            self._emit_owned(
                {
                    "type": "change",
                    "kind": kind,
                    "subject": subject,
                    "from_version": from_version,
                    "to_version": to_version,
                    **fields,
                }
            )

    # -- life -------------------------------------------------------------------------------

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until everything emitted so far has left, at most `timeout` seconds.

        Not for the request path: it waits for the whole process's events. In a coroutine call it
        with `asyncio.to_thread`.

        Returns:
            True when every event was delivered or counted as dropped, False at the deadline.
        """
        try:
            return self._own_engine().flush(timeout)
        except Exception as exc:
            self._engine.note_internal(exc, events=0)
            return False

    def close(self, timeout: float | None = None) -> None:
        """Delivers what is left and stops; what is emitted afterwards is dropped and counted.

        Args:
            timeout: Seconds to wait at most; the setting `exit_timeout_s` when absent. What is not
                delivered by then is dropped, counted, and named in one line of the log. Safe to
                call twice.
        """
        try:
            engine = self._own_engine()
            engine.close(self.settings.exit_timeout_s if timeout is None else timeout)
            _engines.discard(engine)
        except Exception as exc:
            self._engine.note_internal(exc, events=0)

    def stats(self) -> ProducerStats:
        """Returns this process's counters; emitted = delivered + failed + dropped + queued."""
        return self._own_engine().stats()

    # -- processes --------------------------------------------------------------------------

    def _new_engine(self) -> Engine:
        ref = weakref.ref(self)
        return Engine(self.settings, self._sender, is_orphaned=lambda: ref() is None)

    def _new_id(self, epoch_ns: int) -> str:
        return self._own_engine().ids.new(epoch_ns)

    def _own_engine(self) -> Engine:
        engine = self._engine
        return engine if engine.is_here[0] else self._forked()

    def _forked(self) -> Engine:
        """Leaves the parent's engine behind; also found out here where fork hooks do not run."""
        pid = os.getpid()
        # `setdefault` is one step for all threads: they agree on one new engine.
        engine = self._by_pid.setdefault(pid, self._new_engine())
        if self._engine is not engine:
            _inherited.append(self._engine)
            _engines.discard(self._engine)
            self._engine = engine
        for other in list(self._by_pid):
            if other != pid:  # an ancestor's number may be given out again
                self._by_pid.pop(other, None)
        return engine


def _as_mapping(event: object) -> Mapping[str, object]:
    if not isinstance(event, Mapping):
        raise TypeError(f"an event is a mapping, not {type(event).__name__}")
    return event


def _hash_user(settings: Settings, event: dict[str, object]) -> None:
    """Puts the keyed hash of a user in the place of the user."""
    from tokentide.privacy import hash_user

    user_hash = hash_user(settings, event.pop("user"))
    if user_hash is not None:
        event.setdefault("user_hash", user_hash)


def _nowhere(event: dict[str, object]) -> None:
    """Where the events of a disabled producer go."""


def _before_fork() -> None:
    # A child would wait for ever for a module whose import another thread had begun.
    deadline_s = time.monotonic() + 2.0
    while importing and time.monotonic() < deadline_s:
        time.sleep(0.001)


def _after_fork_in_child() -> None:
    importing.clear()
    for telemetry in list(_live):
        telemetry._own_engine()


def _close_all() -> None:
    """Delivers what is left when the interpreter exits, within one deadline for all."""
    engines = [engine for engine in list(_engines) if engine.is_here[0]]
    deadline_s = time.monotonic() + max(
        (engine.settings.exit_timeout_s for engine in engines), default=0.0
    )
    for engine in engines:
        engine.close(min(engine.settings.exit_timeout_s, max(0.0, deadline_s - time.monotonic())))
        _engines.discard(engine)


def _register_with_multiprocessing() -> None:
    """Makes a child of `multiprocessing` deliver at its end: it ends without `atexit`."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=100)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
