"""The reader of the output: `head` and a closed pager leave before its end.

A command ends there, as other programs do, and without a traceback. A connection to a service may
break with the same error, so it is checked which of the two is gone.
"""

from __future__ import annotations

import io
import os
import select
import sys

__all__ = ["forget_output", "reader_is_gone"]


def reader_is_gone() -> bool:
    """Tell whether standard output or standard error has lost its reader."""
    return any(map(_is_unread, _descriptors()))


def forget_output() -> None:
    """Discard what is still to be written: the interpreter would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in _descriptors():
        if _is_unread(descriptor):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _descriptors() -> list[int]:
    found = []
    for stream in (sys.stdout, sys.stderr):
        try:
            found.append(stream.fileno())
        except (AttributeError, ValueError, io.UnsupportedOperation):
            continue  # closed, or no file at all
    return found


def _is_unread(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _fd, event in poll.poll(0))
