"""One process owns a data directory: by a lock that the kernel drops however the process dies.

The file names the owner so that a second process can say who it is; the flock, not the file,
decides, so a file left by a killed process never stands in the way.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

import psutil

from tokentide_jobs.errors import StackError
from tokentide_jobs.owner_only import owner_only_directory, owner_only_file


class DirectoryLock:
    """Exclusive ownership of a directory; a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "clickhouse.lock"
        self._fd = -1

    def __enter__(self) -> DirectoryLock:
        owner_only_directory(self._directory)
        fd = owner_only_file(self._path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise StackError(
                f"ClickHouse data directory {self._directory} is in use by process {owner}: "
                "stop that process or choose another --data-dir"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)


def port_in_use(host: str, port: int) -> StackError:
    """Word the error for a taken port, with the process that listens on it if it is visible."""
    who = "another process"
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
                who = _describe(connection.pid)
                break
    except psutil.Error:
        pass
    return StackError(
        f"port {port} on {host} is taken by {who}: choose another with --port, or 0 for a free one"
    )


def _describe(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        return f"process {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"process {pid}"
