"""Whether this is still the process that something was made in, without a system call.

A page of memory that the kernel empties in a forked child; where there is none, the process id.
See "Noticing a fork" in docs/producer-internals.md.
"""

from __future__ import annotations

import mmap
import os
from typing import Protocol

_WIPE_ON_FORK = 18
"""MADV_WIPEONFORK of Linux 4.14 and later, which the mmap module does not name."""


class ProcessMark(Protocol):
    """`mark[0]` is 1 in the process that made it and 0 in those forked from it."""

    def __getitem__(self, index: int, /) -> int:
        """Return 1 or 0."""


class _ByProcessId:
    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int, /) -> int:
        return int(os.getpid() == self._pid)


def new_process_mark() -> ProcessMark:
    """Return a mark of this process."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
        page[0] = 1
    except (AttributeError, OSError, TypeError, ValueError):  # not Linux, or an old kernel
        return _ByProcessId()
    return page
