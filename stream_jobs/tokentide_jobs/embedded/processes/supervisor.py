"""Restarts what dies, or runs and does no work, until a person ends it; never gives up.

Every service has a thread of its own, so one that takes a minute to come back holds up no other. A
start that fails is one more death: it is tried again after a pause that grows to 15 s, for ever. An
unexpected error costs one look, not the watch. Only a service whose data died with it ends the
stack, loudly: no start could bring that back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.embedded.processes.child import ChildRecord, how_it_ended
from tokentide_jobs.embedded.processes.restart import RESTART_BACKOFF, RestartSchedule
from tokentide_jobs.errors import PipelineError, StackError

__all__ = ["Service", "Supervisor", "SupervisorTimes"]

_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class SupervisorTimes:
    """How often a supervisor looks, asks and tries again."""

    look_every_s: float = 0.2
    probe_every_s: float = 5.0
    """How often a running service is asked to do a piece of its work."""
    stall_timeout_s: float = 45.0
    """How long a service that runs may do no work before it is ended and brought back: on a busy
    machine a healthy one may not answer for seconds."""
    unexpected_pause_s: float = 5.0
    """How long to leave a service alone after an unexpected error."""
    restart: Backoff = RESTART_BACKOFF


_USUAL_PACE = SupervisorTimes()


class Service(Protocol):
    """A broker or a store, seen from its supervisor."""

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        ...

    @property
    def exit_code(self) -> int | None:
        """How its process ended."""
        ...

    @property
    def survives_restart(self) -> bool:
        """Whether what it holds is still there after its process was started again."""
        ...

    @property
    def fills_disk(self) -> bool:
        """Whether it takes data in until the disk is full: it is stopped before."""
        ...

    def start(self) -> ChildRecord:
        """Start it where it was, and wait until it works.

        Raises:
            StackError: It cannot start; the message says why and shows the end of its log.
        """
        ...

    def problem(self) -> str:
        """Let it do a small piece of its work; why it cannot, or "" when it can."""
        ...

    def stop(self, deadline_s: float) -> None:
        """Stop it in order, by force once the deadline has passed."""
        ...

    def kill(self) -> None:
        """End it at once, as a crash would."""
        ...


@dataclass(slots=True)
class _Watched:
    """One service and what its watcher remembers of it."""

    name: str
    service: Service
    schedule: RestartSchedule
    worked_s: float = 0.0
    probed_s: float = 0.0
    waits_for_room: bool = False

    def __post_init__(self) -> None:
        now_s = time.monotonic()
        self.schedule.started(now_s)
        self.worked_s = self.probed_s = now_s


class Supervisor:
    """Watches the services, and the workers through `restart_workers`.

    Args:
        services: By the name that people read.
        restart_workers: Called often, from one thread; whether a worker was started.
        restarted: Called with what was started; calls never overlap.
        notify: Called with a line about every death and every failed start; returns at once and
            never raises, as `Announcer.say`.
        is_full: Whether the disk is nearly full: then what fills it is stopped until there is
            room, and a service that does no work is left alone, because a restart frees nothing.
        pace: How often it looks, asks and tries.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        *,
        restart_workers: Callable[[], bool],
        restarted: Callable[[dict[str, ChildRecord]], None],
        notify: Callable[[str], None],
        is_full: Callable[[], bool] = lambda: False,
        pace: SupervisorTimes = _USUAL_PACE,
    ) -> None:
        self._services = services
        self._restart_workers = restart_workers
        self._restarted = restarted
        self._notify = notify
        self._is_full = is_full
        self._pace = pace
        self._report_lock = threading.Lock()
        self._ending = threading.Event()
        self._failure: PipelineError | None = None
        self._starting_lock = threading.Lock()
        self._starting: set[str] = set()
        self._watchers = {
            name: threading.Thread(
                target=self._watch, args=(name, service), name=f"watch-{name}", daemon=True
            )
            for name, service in services.items()
        }
        self._worker_watcher = threading.Thread(
            target=self._watch_workers, name="restart-workers", daemon=True
        )

    def start(self) -> None:
        """Begin to watch; everything runs at this moment."""
        for thread in (*self._watchers.values(), self._worker_watcher):
            thread.start()

    def end(self) -> None:
        """Stop watching; after this nothing is started again."""
        with self._starting_lock:
            self._ending.set()
        self._worker_watcher.join()
        for name in tuple(self._starting):
            # Its watcher waits until it works: without the process the wait ends.
            while self._watchers[name].is_alive():
                self._services[name].kill()
                self._watchers[name].join(self._pace.look_every_s)
        # Another one may still wait for an answer; after that it does nothing more.

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until supervision ends; returns False when the time is up first.

        Raises:
            PipelineError: A service died and took what it held with it.
        """
        has_ended = self._ending.wait(timeout_s)
        if self._failure is not None:
            raise self._failure
        return has_ended

    def _watch_workers(self) -> None:
        while not self._ending.wait(self._pace.look_every_s):
            try:
                if self._restart_workers():
                    self._report_started({})
            except Exception as exc:
                self._notify_unexpected("workers", exc)

    def _watch(self, name: str, service: Service) -> None:
        watched = _Watched(name, service, RestartSchedule(self._pace.restart))
        while not self._ending.wait(self._pace.look_every_s):
            try:
                self._look(watched)
            except Exception as exc:
                self._notify_unexpected(name, exc)

    def _notify_unexpected(self, name: str, exc: Exception) -> None:
        """Report an unexpected error, and pause: the same may come at every look."""
        pause_s = self._pace.unexpected_pause_s
        self._notify(
            f"watching {_called(name)} failed, trying again in {pause_s:g} s: "
            f"{type(exc).__name__}: {exc}"
        )
        self._ending.wait(pause_s)

    def _look(self, watched: _Watched) -> None:
        name, service = watched.name, watched.service
        if service.fills_disk and self._is_full():
            self._make_wait_for_room(watched)
            return
        watched.waits_for_room = False
        if not service.is_running:
            if not service.survives_restart:
                self._fail(name, service)
                return
            self._restart(watched)
            watched.worked_s = watched.probed_s = time.monotonic()
        elif time.monotonic() - watched.probed_s >= self._pace.probe_every_s:
            problem = service.problem()
            watched.probed_s = time.monotonic()
            if not problem or self._is_full():
                watched.worked_s = watched.probed_s
            elif (
                watched.probed_s - watched.worked_s >= self._pace.stall_timeout_s
                and not self._ending.is_set()
            ):
                watched.worked_s = watched.probed_s
                self._notify(f"{_called(name)} runs and does not work: {problem}")
                if service.survives_restart:
                    service.kill()

    def _make_wait_for_room(self, watched: _Watched) -> None:
        """Stop what fills the disk, or leave it ended: a broker may find no room before we do."""
        name, service = watched.name, watched.service
        if service.is_running:
            self._notify(f"the disk is nearly full: {_called(name)} stops until there is room")
            service.stop(_STOP_S)
        elif not service.survives_restart:
            self._fail(name, service)
        elif not watched.waits_for_room:
            self._notify(
                f"{_ended(name, service)} and the disk is nearly full: "
                "it starts again when there is room"
            )
        watched.waits_for_room = True

    def _restart(self, watched: _Watched) -> None:
        """Start a service that has ended when its time has come."""
        name, service, schedule = watched.name, watched.service, watched.schedule
        is_first_failure = not schedule.is_waiting
        wait_s = schedule.died(time.monotonic())
        if is_first_failure:
            self._notify(f"{_ended(name, service)}, starting it again in {wait_s:.1f} s")
        if wait_s > 0.0:
            return
        with self._starting_lock:
            if self._ending.is_set():
                return
            self._starting.add(name)
        try:
            record = service.start()
        except Exception as exc:
            # It may have died again while it started, or the disk is full: its next turn comes.
            schedule.started(time.monotonic())
            pause_s = schedule.died(time.monotonic())
            if not self._ending.is_set():
                self._notify(f"{_called(name)} does not start, again in {pause_s:.1f} s: {exc}")
        else:
            schedule.started(time.monotonic())
            self._report_started({name: record})
        finally:
            with self._starting_lock:
                self._starting.discard(name)

    def _report_started(self, started: dict[str, ChildRecord]) -> None:
        try:
            with self._report_lock:
                self._restarted(started)
        except OSError as exc:
            # The note is for the next start after a crash; a full disk must not end supervision.
            self._notify(f"what runs now cannot be written down: {exc}")

    def _fail(self, name: str, service: Service) -> None:
        self._failure = StackError(
            f"{_ended(name, service)} and its log, which it kept in "
            "memory, is gone: start the stack again"
        )
        self._ending.set()


def _called(name: str) -> str:
    """Return a service's name in a sentence: a name as it is, and "the broker"."""
    return name if name[:1].isupper() else f"the {name}"


def _ended(name: str, service: Service) -> str:
    return f"{_called(name)} ended ({how_it_ended(service.exit_code)})"
