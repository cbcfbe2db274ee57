"""One bound for the bytes of results that all requests hold together outside the engine.

The engine counts what it holds itself; the pieces of results that wait for a slow client are copies
in this process, and thirty-two of them at a time are not bounded by anything else.
"""

from __future__ import annotations

import time
from threading import Condition
from typing import Final

from ..exceptions import ClickHouseError

WAIT_S: Final = 30.0
"""How long a request waits for others to send what they hold."""


class MemoryBudget:
    """Bytes that may be held; its methods run on the threads of requests."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free_bytes = size_bytes
        self._changed = Condition()

    def take(self, size_bytes: int) -> None:
        """Wait until ``size_bytes`` are free and take them.

        Raises:
            ClickHouseError: 241 when they are more than there is, or do not come free in time.
        """
        give_up_at_s = time.monotonic() + WAIT_S
        with self._changed:
            while size_bytes > self._free_bytes:
                left_s = give_up_at_s - time.monotonic()
                if size_bytes > self._size_bytes or left_s <= 0:
                    raise ClickHouseError(
                        241,
                        f"Memory limit for results exceeded: a piece of {size_bytes} bytes, "
                        f"{self._free_bytes} of {self._size_bytes} are free; ask for fewer or "
                        "shorter rows at a time (max_block_size), or again later",
                    )
                self._changed.wait(left_s)
            self._free_bytes -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Return bytes taken before."""
        with self._changed:
            self._free_bytes += size_bytes
            self._changed.notify_all()
