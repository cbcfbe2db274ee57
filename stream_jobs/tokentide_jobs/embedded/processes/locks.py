"""One owner per data directory: `stack.lock`, held with flock, names it and what it started.

The kernel drops the lock when its holder ends, however it ends, so a stale lock needs no clean-up:
the next owner finds the file unlocked, ends the children noted in it that are still there (the
same pid *and* start time, so never a stranger), and writes itself in.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokentide_jobs.embedded.processes.child import ChildRecord, end_process
from tokentide_jobs.errors import ConfigError, StackError
from tokentide_jobs.owner_only import (
    new_owner_only_directory,
    owner_only_directory,
    owner_only_file,
)

__all__ = ["LOCK_FILE_NAME", "DataDirLock", "holder_pid"]

LOCK_FILE_NAME = "stack.lock"
_OF_A_STACK = frozenset({LOCK_FILE_NAME, "stack.json", "kafka", "clickhouse", "logs", "workers"})
_ANOTHER = "name another one with --data-dir or TOKENTIDE_DATA_DIR"
_LOCK_TIMEOUT_S = 1.0
"""How long to try: `holder_pid` only looks, and holds the lock for microseconds."""


class DataDirLock:
    """The right to run a stack in one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the directory."""
        return self._descriptor is not None

    def acquire(self) -> list[ChildRecord]:
        """Take the directory; returns processes of a killed owner that had to be ended.

        Raises:
            StackError: Another process holds it; the message names its pid.
            ConfigError: It is no directory, and cannot become one.
        """
        try:
            new_owner_only_directory(self._data_dir)
        except (FileExistsError, NotADirectoryError) as exc:
            raise ConfigError(f"{exc.filename} is no directory: {_ANOTHER}") from exc
        except FileNotFoundError as exc:
            raise ConfigError(f"no directory can be made at {exc.filename}: {_ANOTHER}") from exc
        if _is_a_stacks(self._data_dir):
            # Each part closes its own content when it starts.
            owner_only_directory(self._data_dir, with_content=False)
        path = self._data_dir / LOCK_FILE_NAME
        descriptor = owner_only_file(path, os.O_RDWR | os.O_CREAT)
        if not _lock(descriptor):
            pid = _read(path).get("pid", "unknown")
            os.close(descriptor)
            raise StackError(
                f"data directory {self._data_dir} is in use by process {pid}: "
                "stop it, or name another directory with --data-dir"
            )
        self._descriptor = descriptor
        orphans = [ChildRecord(**child) for child in _read(path).get("children", [])]
        ended = [orphan for orphan in orphans if end_process(orphan)]
        self.note([])
        return ended

    def note(self, children: Sequence[ChildRecord]) -> None:
        """Record what runs now, for the next owner after a crash of this process."""
        assert self._descriptor is not None, "the lock is not held"
        text = json.dumps({"pid": os.getpid(), "children": [asdict(child) for child in children]})
        # Grow before shrinking: a reader may see trailing bytes of the former text, never none.
        os.pwrite(self._descriptor, text.encode(), 0)
        os.ftruncate(self._descriptor, len(text.encode()))

    def release(self) -> None:
        """Give the directory back; safe to call twice. The file stays: deleting it would race."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def holder_pid(data_dir: Path) -> int | None:
    """Return the pid of the live process that owns the directory, None if there is none."""
    path = data_dir / LOCK_FILE_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _read(path).get("pid")
        return int(pid) if pid is not None else None
    finally:
        os.close(descriptor)
    return None


def _is_a_stacks(data_dir: Path) -> bool:
    """Tell whether a stack ran here and nothing else is here: a home directory may be named."""
    names = {path.name for path in data_dir.iterdir()}
    return LOCK_FILE_NAME in names and names <= _OF_A_STACK


def _lock(descriptor: int) -> bool:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _read(path: Path) -> dict[str, Any]:
    try:
        # The first JSON value counts: bytes of a longer, former text may follow it.
        found, _end = json.JSONDecoder().raw_decode(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
