"""Brings back what dies while the stack runs, from one thread, until it is told to end.

A service with a log on disk is started again on its old port, after a pause that grows while it
keeps dying; one whose data died with it is a failure that ends the stack, loudly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from tokentide_jobs.embedded.processes.child import ChildRecord
from tokentide_jobs.embedded.processes.restart import RestartSchedule
from tokentide_jobs.errors import PipelineError, StackError

__all__ = ["Service", "Supervisor"]

_PERIOD_S = 0.2


class Service(Protocol):
    """A broker or a store, seen from its supervisor."""

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        ...

    @property
    def survives_restart(self) -> bool:
        """Whether what it holds is still there after its process was started again."""
        ...

    def start(self) -> ChildRecord:
        """Start it where it was, and wait until it serves."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Supervisor:
    """Watches the services, and the workers through `tend_workers`."""

    def __init__(
        self,
        services: Mapping[str, Service],
        *,
        tend_workers: Callable[[], bool],
        restarted: Callable[[dict[str, ChildRecord]], None],
        notify: Callable[[str], None],
    ) -> None:
        self._services = services
        self._tend_workers = tend_workers
        self._restarted = restarted
        self._notify = notify
        self._schedules = {name: RestartSchedule() for name in services}
        self._ending = threading.Event()
        self._failure: PipelineError | None = None
        self._thread = threading.Thread(
            target=self._watch, name="tokentide-supervisor", daemon=True
        )

    def start(self) -> None:
        """Begin to watch; everything runs at this moment."""
        for schedule in self._schedules.values():
            schedule.started(time.monotonic())
        self._thread.start()

    def end(self) -> None:
        """Stop watching; after this nothing is started again."""
        self._ending.set()
        self._thread.join(timeout=1.0)
        if self._thread.is_alive():
            # It waits for a service that it brings back: without the process the wait ends.
            for service in self._services.values():
                service.kill()
            self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until supervision ends; returns False when the time is up first.

        Raises:
            PipelineError: A service died and could not be brought back.
        """
        has_ended = self._ending.wait(timeout_s)
        if self._failure is not None:
            raise self._failure
        return has_ended

    def _watch(self) -> None:
        while not self._ending.wait(_PERIOD_S):
            try:
                any_worker = self._tend_workers()
                started = {
                    name: record
                    for name, service in self._services.items()
                    if (record := self._tend(name, service)) is not None
                }
                if any_worker or started:
                    self._restarted(started)
            except PipelineError as exc:
                if not self._ending.is_set():
                    self._failure = exc
                    self._ending.set()

    def _tend(self, name: str, service: Service) -> ChildRecord | None:
        schedule = self._schedules[name]
        if service.exit_code is None:
            return None
        if not service.survives_restart:
            raise StackError(
                f"the {name} ended (exit code {service.exit_code}) and its log, which it kept in "
                "memory, is gone: start the stack again"
            )
        is_news = not schedule.is_waiting
        wait_s = schedule.died(time.monotonic())
        if is_news:
            self._notify(f"the {name} ended (exit code {service.exit_code}), starting it again")
        if wait_s > 0.0:
            return None
        record = service.start()
        schedule.started(time.monotonic())
        return record
