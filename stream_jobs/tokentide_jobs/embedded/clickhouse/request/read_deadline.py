"""How long a request may be waited for while it is read: longer the more of it has come.

A bound on each pause alone lets a client that sends a byte now and then hold its place for ever.
So waiting uses up an allowance, as long as the longest pause, and bytes that come fill it again at
the slowest rate. Time in which the endpoint itself has no turn for the request is not counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ..exceptions import ClickHouseError

__all__ = ["LEAST_BYTES_PER_S", "ReadDeadline"]

LEAST_BYTES_PER_S: Final = 500
"""Of a client that goes on sending; the slowest modem did better."""

T = TypeVar("T")


class ReadDeadline:
    """Bounds the reads of one request.

    Args:
        pause_s: Longest pause between two reads.
        what: Is read, for the message.
        clock: Seconds.
    """

    def __init__(
        self, pause_s: float, what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_s = pause_s
        self._what = what
        self._clock = clock
        self._left_s = pause_s

    async def read(self, reading: Awaitable[T], size: Callable[[T], int]) -> T:
        """Wait for one read.

        Args:
            reading: Is waited for.
            size: Says how many bytes its result stands for.

        Raises:
            ClickHouseError: 209 when nothing came for `pause_s`, or all of it comes too slowly.
        """
        began_s = self._clock()
        try:
            async with asyncio.timeout(self._left_s):
                found = await reading
        except TimeoutError as exc:
            raise self._given_up() from exc
        gained_s = size(found) / LEAST_BYTES_PER_S - (self._clock() - began_s)
        self._left_s = min(self._pause_s, self._left_s + gained_s)
        if self._left_s <= 0:
            raise self._given_up()
        return found

    def _given_up(self) -> ClickHouseError:
        return ClickHouseError(
            209,
            f"Timeout exceeded while reading {self._what}: nothing came for {self._pause_s} s, or "
            f"less than {LEAST_BYTES_PER_S} bytes a second",
        )
