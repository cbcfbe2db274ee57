"""Which process of a host owns a directory of the spool, by a lock that dies with the process.

Record locks (`fcntl.lockf`) are not inherited by a fork, so a child never holds what its parent
owns; they do not tell two owners of one process apart, so those are kept in a table. Invariant: a
directory has one owner at a time, and that of a dead process has none.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK = "lock"

_held: dict[tuple[int, str], object] = {}
"""Directories owned here, by process: a forked child finds its parent's entries, not its own."""


class Claim:
    """One directory owned by this process, until `release`."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def make(cls, path: Path) -> Claim:
        """Make a new directory that is owned before another process can see it.

        Raises:
            OSError: The directory or the lock cannot be had.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}")
        hidden.mkdir(mode=0o700)
        fd = -1
        try:
            fd = os.open(hidden / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _held[os.getpid(), str(path)] = cls
            hidden.rename(path)
        except OSError:
            _held.pop((os.getpid(), str(path)), None)
            if fd >= 0:
                os.close(fd)
            (hidden / LOCK).unlink(missing_ok=True)
            hidden.rmdir()
            raise
        return cls(path, fd)

    @classmethod
    def take(cls, path: Path) -> Claim | None:
        """Take over a directory whose owner is gone; None while it has an owner."""
        key, mark = (os.getpid(), str(path)), object()
        # One step for all threads, of which the first goes on: "One winner without a lock" in
        # docs/producer-internals.md.
        if _held.setdefault(key, mark) is not mark:
            return None
        fd = -1
        try:
            fd = os.open(path / LOCK, os.O_RDWR)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:  # else another process has just emptied and removed it
                return cls(path, fd)
        except OSError:
            pass  # alive, being removed, or no directory of the spool
        if fd >= 0:
            os.close(fd)
        _held.pop(key, None)
        return None

    def release(self) -> None:
        """Give the directory up, and remove it when nothing is left in it."""
        try:
            if [entry.name for entry in os.scandir(self.path)] == [LOCK]:
                (self.path / LOCK).unlink()
                self.path.rmdir()
        except OSError:
            pass  # another process removed it, or put something into it
        os.close(self._fd)
        _held.pop((os.getpid(), str(self.path)), None)
