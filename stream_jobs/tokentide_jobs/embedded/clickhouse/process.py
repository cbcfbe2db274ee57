"""The embedded ClickHouse as a child process: start it, know when it is ready, stop it.

One process must own the engine (a crash of the engine must not take a test or a worker with it),
so whatever needs ClickHouse on a laptop starts it through this class.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tokentide_jobs.errors import StackError
from tokentide_jobs.owner_only import (
    new_owner_only_directory,
    owner_only_directory,
    owner_only_file,
)
from tokentide_jobs.urls import with_credentials

from .access.password import OWNER_NAME, read_password

READY_TIMEOUT_S = 60.0
"""A cold start maps a 550 MB library; on a busy two-core machine that has taken 15 s."""

STOP_TIMEOUT_S = 30.0
_POLL_S = 0.02


class ClickHouseProcess:
    """A running embedded ClickHouse.

    Attributes:
        url: Base URL of its HTTP interface.
        password: Of the account `default`; empty when a users file names who may connect.
        pid: Process id.
        log_path: Where its standard error goes.
    """

    def __init__(
        self, child: subprocess.Popen[bytes], url: str, log_path: Path, password: str
    ) -> None:
        self._child = child
        self.url = url
        self.password = password
        self.pid = child.pid
        self.log_path = log_path

    @classmethod
    def start(
        cls,
        data_dir: Path,
        port: int = 0,
        *,
        log_path: Path | None = None,
        options: Sequence[str] = (),
        timeout_s: float = READY_TIMEOUT_S,
    ) -> ClickHouseProcess:
        """Start a server on ``data_dir`` and wait until it answers.

        Args:
            data_dir: Created if absent; keeps all data between starts.
            port: TCP port on 127.0.0.1; 0 picks a free one.
            log_path: Where standard error goes; default ``data_dir/server.log``.
            options: Further command-line options, such as ``["--users-file", "users.json"]``.
            timeout_s: How long to wait for readiness.

        Raises:
            StackError: It ended or was not ready in time; the message holds the end of its log.
        """
        owner_only_directory(data_dir)
        log_path = log_path or data_dir / "server.log"
        new_owner_only_directory(log_path.parent)  # a caller may name one that is not ours
        scratch = Path(tempfile.mkdtemp(prefix="clickhouse-"))
        ready_file = scratch / "ready.json"
        command = [sys.executable, "-m", __package__, "--data-dir", str(data_dir)]
        command += ["--port", str(port), "--ready-file", str(ready_file)]
        command += ["--owner-pid", str(os.getpid()), *options]
        fd = owner_only_file(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(fd, "ab") as log:
            start = log.tell()
            # A session of its own: Ctrl-C reaches the owner, which stops it in its turn.
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        try:
            url = _wait_ready(child, ready_file, log_path, start, timeout_s)
        except BaseException:
            _end(child, 0.0)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        password = "" if "--users-file" in options else read_password(data_dir)
        return cls(child, url, log_path, password)

    @property
    def dsn(self) -> str:
        """The URL with the credentials of the account that may write."""
        return with_credentials(self.url, OWNER_NAME, self.password)

    @property
    def is_running(self) -> bool:
        """True while the process lives."""
        return self._child.poll() is None

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Stop it cleanly and return its exit code; safe to call twice."""
        return _end(self._child, timeout_s)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL); for tests of recovery."""
        self._child.kill()
        self._child.wait()

    def __enter__(self) -> ClickHouseProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _wait_ready(
    child: subprocess.Popen[bytes], ready_file: Path, log_path: Path, start: int, timeout_s: float
) -> str:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if ready_file.exists():
            ready = json.loads(ready_file.read_text(encoding="utf-8"))
            return str(ready["url"])
        code = child.poll()
        if code is not None:
            raise StackError(
                f"the embedded ClickHouse ended with exit code {code}: {_tail(log_path, start)}"
            )
        time.sleep(_POLL_S)
    raise StackError(
        f"the embedded ClickHouse was not ready within {timeout_s:.0f} s: {_tail(log_path, start)}"
    )


def _tail(log_path: Path, start: int, limit: int = 2000) -> str:
    with log_path.open("rb") as log:
        log.seek(start)
        text = log.read().decode(errors="replace").strip()
    return text[-limit:].removeprefix("error: ") or f"it wrote nothing to {log_path}"


def _end(child: subprocess.Popen[bytes], timeout_s: float) -> int:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()
