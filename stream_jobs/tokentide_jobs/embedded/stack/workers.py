"""The workers of the stack, brought back when they die.

A worker may be killed at any instruction without harm (the ledger and the snapshots see to that),
so bringing it back is all that supervision has to do; how one is made is the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tokentide_jobs.embedded.processes.child import ChildProcess, ChildRecord, how_it_ended
from tokentide_jobs.embedded.processes.restart import RestartSchedule

__all__ = ["WorkerPool"]


class WorkerPool:
    """Supervised workers; `restart_due` is called often and from one thread.

    Args:
        commands: What each worker is, by its name.
        log_dir: Each writes `NAME.log` there.
        env: Environment of all.
        notify: Called when one died or does not start.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        log_dir: Path,
        env: Mapping[str, str],
        notify: Callable[[str], None],
    ) -> None:
        self._children = [
            ChildProcess(name, command, log_path=log_dir / f"{name}.log", env=env)
            for name, command in commands.items()
        ]
        self._schedules = [RestartSchedule() for _ in self._children]
        self._notify = notify

    def start(self) -> None:
        """Start all; does not wait until they read."""
        for child, schedule in zip(self._children, self._schedules, strict=True):
            child.start()
            schedule.started(time.monotonic())

    def restart_due(self) -> bool:
        """Start again what died and whose turn has come; returns whether anything was started.

        A start that fails is one more death, and holds up no other worker.
        """
        any_started = False
        for child, schedule in zip(self._children, self._schedules, strict=True):
            if child.exit_code is None:
                continue
            is_first_failure = not schedule.is_waiting
            wait_s = schedule.died(time.monotonic())
            if is_first_failure:
                self._notify(
                    f"{child.name} ended ({how_it_ended(child.exit_code)}), starting it again in "
                    f"{wait_s:.1f} s; see {child.log_path}"
                )
            if wait_s > 0.0:
                continue
            try:
                child.start()
            except Exception as exc:
                # Its log cannot be written, or there is no process to be had: its next turn comes,
                # and the others have theirs now.
                schedule.started(time.monotonic())
                pause_s = schedule.died(time.monotonic())
                self._notify(f"{child.name} does not start, again in {pause_s:.1f} s: {exc}")
            else:
                schedule.started(time.monotonic())
                any_started = True
        return any_started

    def records(self) -> list[ChildRecord]:
        """Return the identities of the workers that run."""
        return [found for child in self._children if (found := child.record()) is not None]

    def stop(self, deadline_s: float) -> None:
        """Ask all at once, then wait for each; by force once the common deadline has passed."""
        deadline = time.monotonic() + deadline_s
        for child in self._children:
            child.ask_to_stop()
        for child in self._children:
            child.stop(max(0.0, deadline - time.monotonic()))
