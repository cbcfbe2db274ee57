"""Child processes of the stack: tied to their owner, logged to a file, ended within a deadline.

A child dies with its owner (`die_with_parent.py`) and sits in a session of its own: Ctrl-C in the
terminal reaches only the owner, which then stops everything in order. It is known by pid *and*
start time, so that a recycled pid is never mistaken for one of ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from tokentide_jobs.owner_only import CHILD_UMASK, owner_only_directory, owner_only_file

__all__ = ["ChildProcess", "ChildRecord", "end_process", "how_it_ended", "process_started_s"]

_DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
_LOG_CEILING_BYTES = 16 * 1024 * 1024
"""A log beyond this is put aside (one generation) when its process is started again."""


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """What is needed to recognise a process later: its pid and when it started."""

    name: str
    pid: int
    started_s: float

    def is_alive(self) -> bool:
        """Tell whether this very process, not a later one with the same pid, still runs."""
        return process_started_s(self.pid) == self.started_s


class ChildProcess:
    """One supervised process; `start` may be called again after it has ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log_path = log_path
        self._env = dict(env) if env is not None else None
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._was_asked = False

    @property
    def pid(self) -> int | None:
        """The pid while the process runs, else None."""
        return self._process.pid if self._process is not None and self.exit_code is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: the signal), None while it runs or before it started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the command; returns at once."""
        owner_only_directory(self.log_path.parent)
        if self.log_path.exists() and self.log_path.stat().st_size > _LOG_CEILING_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".old.log"))
        appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(owner_only_file(self.log_path, appended), "ab") as log:
            self._log_start = log.tell()
            command = [
                sys.executable,
                "-I",
                "-S",
                str(_DIE_WITH_PARENT),
                str(os.getpid()),
                *self.command,
            ]
            self._was_asked = False
            # The kernel ties a child to the *thread* that made it: all are made by one thread
            # that lives as long as this process, whatever thread called.
            self._process = (
                _spawner(os.getpid())
                .submit(
                    subprocess.Popen,
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                    umask=CHILD_UMASK,
                )
                .result()
            )

    def record(self) -> ChildRecord | None:
        """Return the identity of the running process, for the lock file; None: it has ended."""
        pid = self.pid
        started_s = process_started_s(pid) if pid is not None else None
        if pid is None or started_s is None:
            return None
        return ChildRecord(self.name, pid, started_s)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once, and return; `stop` waits."""
        if self.pid is not None and self._process is not None and not self._was_asked:
            self._was_asked = True
            self._process.terminate()

    def stop(self, deadline_s: float) -> None:
        """End it: SIGTERM, and SIGKILL once the deadline has passed. Safe to call twice."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ends by itself; its exit code, None when the time is up first."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it without asking."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 8) -> str:
        """Return the last lines this run has written, for an error message."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            text = log.read()[-16_384:].decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or f"nothing was written to {self.log_path}"


def process_started_s(pid: int) -> float | None:
    """Start time of a process in epoch seconds, None if there is none (or only a zombie)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def end_process(record: ChildRecord, deadline_s: float = 3.0) -> bool:
    """End a process of an earlier owner; returns whether it was there (and is gone now)."""
    if not record.is_alive():
        return False
    process = psutil.Process(record.pid)
    process.terminate()
    deadline = time.monotonic() + deadline_s
    while record.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    if record.is_alive():
        process.kill()
        process.wait(deadline_s)
    return True


@cache
def _spawner(pid: int) -> ThreadPoolExecutor:
    """Make the one thread that starts children (`pid`: a fork needs a thread of its own)."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokentide-spawner")


def how_it_ended(exit_code: int | None) -> str:
    """Return how a process ended: by a code, or by a signal."""
    if exit_code is None:
        return "it is not known how"
    return f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
