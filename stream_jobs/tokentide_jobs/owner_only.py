"""Directories and files of a data directory: for their owner alone.

Invariant: whatever a stack writes below its data directory has mode 0700 or 0600, whatever the
umask of the shell is. What an earlier version or a copy left open is closed when its part starts.
A directory that holds things of others, such as a home directory, keeps its mode.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["CHILD_UMASK", "new_owner_only_directory", "owner_only_directory", "owner_only_file"]

CHILD_UMASK: Final = 0o077
"""Of every process that writes into a data directory."""
_OTHERS: Final = 0o077
_FILE: Final = 0o600
_DIRECTORY: Final = 0o700


def new_owner_only_directory(path: Path) -> None:
    """Make a directory that only its owner may enter; one that is there keeps its mode.

    Args:
        path: The directory; its parents are made as the umask says.
    """
    path.mkdir(mode=_DIRECTORY, parents=True, exist_ok=True)


def owner_only_directory(path: Path, *, with_content: bool = True) -> None:
    """Make a directory that only its owner may enter, or close one that others may.

    A closed directory was filled by its owner's processes alone, so only an open one is walked. It
    is closed last: a walk that is cut short is done again. What belongs to another user stays as
    it is.

    Args:
        path: The directory; its parents are made as the umask says.
        with_content: Close what is below it, too.
    """
    new_owner_only_directory(path)
    if not path.stat().st_mode & _OTHERS:
        return
    if with_content:
        for folder, folders, files in os.walk(path, topdown=False):
            for name in (*folders, *files):
                _close(Path(folder, name))
    _close(path)


def owner_only_file(path: Path, flags: int) -> int:
    """Open a file that only its owner may read; returns the descriptor.

    Args:
        path: The file; one that others may read is closed to them.
        flags: As of `os.open`.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC, _FILE)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & _OTHERS:
        with suppress(PermissionError):  # another user's, who lets us write
            os.fchmod(descriptor, _FILE)
    return descriptor


def _close(path: Path) -> None:
    # A file may go while the walk looks at it; a link's target is no part of the directory.
    with suppress(FileNotFoundError, PermissionError):
        mode = path.lstat().st_mode
        if mode & _OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
