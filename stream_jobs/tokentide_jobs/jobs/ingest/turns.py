"""Who may write a batch now: two ordinary batches at a time, or a heavy one alone.

What a batch holds while it is written follows from its events: rows, deltas of each series, the
bytes of an insert. Two batches of usual size fit side by side. One record may be larger than a
whole batch; batches of such records would add up, so each waits until nothing else is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

__all__ = ["Turns"]


class Turns(asyncio.Semaphore):
    """Turns are given in the order in which they were asked for. Belongs to one event loop.

    Args:
        count: Ordinary batches that may be written at a time.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._count = count
        self._heavy = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, *, alone: bool) -> AsyncIterator[None]:
        """Hold one turn, or all of them: then no other batch is written."""
        async with AsyncExitStack() as held:
            if alone:
                # Two that had a part of the turns each would wait for each other for ever.
                await held.enter_async_context(self._heavy)
            for _turn in range(self._count if alone else 1):
                await held.enter_async_context(self)
            yield
