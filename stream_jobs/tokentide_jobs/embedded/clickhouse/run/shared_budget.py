"""Bounds that running requests share: of syntax trees, and of external data in memory.

A plan costs memory with every node of its tree before a row is read (13 KB a node of a long UNION),
and so do tables that came with a query; the limits on one query do not divide either among many.
Small requests pass large ones that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ..engine.pool import QUEUE_WAIT_S
from ..exceptions import ClickHouseError

RUNNING_NODES: Final = 10_000
"""Twice the largest tree of a reader, and some thirty times a large panel."""


class SharedBudget:
    """An amount that requests take parts of; used on the event loop.

    Args:
        amount: All there is.
        what: What it is an amount of, in the words of the error.
        advice: What to do when nothing comes free.
        wait_s: How long a request waits for its part.
    """

    def __init__(
        self, amount: int, what: str, advice: str, *, wait_s: float = QUEUE_WAIT_S
    ) -> None:
        self.amount = amount
        self._free = amount
        self._what = what
        self._advice = advice
        self._wait_s = wait_s
        self._freed = asyncio.Event()

    async def take(self, amount: int) -> None:
        """Take ``amount`` once it is free.

        Raises:
            ClickHouseError: 202 when it does not come free in time.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                while self._free < amount:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise ClickHouseError(
                202,
                f"Too many simultaneous queries: {amount} {self._what} did not come free "
                f"in {self._wait_s:.0f} s; {self._advice}",
            ) from None
        self._free -= amount

    def give_back(self, amount: int) -> None:
        """Return what was taken."""
        self._free += amount
        self._freed.set()

    @asynccontextmanager
    async def held(self, amount: int) -> AsyncIterator[None]:
        """Hold ``amount`` while the block runs.

        Raises:
            ClickHouseError: 202 when it does not come free in time.
        """
        await self.take(amount)
        try:
            yield
        finally:
            self.give_back(amount)


def tree_budget(nodes: int = RUNNING_NODES, *, wait_s: float = QUEUE_WAIT_S) -> SharedBudget:
    """Return the bound on the trees that run at a time for accounts that only read."""
    return SharedBudget(
        nodes,
        "nodes of a syntax tree",
        "send shorter statements, or fewer at a time",
        wait_s=wait_s,
    )
