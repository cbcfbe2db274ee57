"""Keeps a worker's memory near what it uses: glibc holds on to what threads hand to each other.

Records are allocated by the fetching thread and freed by the writing one, the worst case for
per-thread heaps. Elsewhere than on glibc nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes

__all__ = ["give_back", "limit_arenas"]

_M_ARENA_MAX = -8
"""Number of that parameter in glibc's malloc.h."""


def limit_arenas() -> None:
    """Let all threads share two heaps; call before they start."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Return free memory to the system; milliseconds, so every few seconds is often enough."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
