"""One bound for the syntax trees that run at a time for accounts that only read.

A plan costs memory with every node of its tree before a row is read (13 KB a node of a long UNION),
which the limits on a query do not divide among many. Small statements pass large ones that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ..engine.pool import QUEUE_WAIT_S
from ..exceptions import ClickHouseError

RUNNING_NODES: Final = 10_000
"""Twice the largest tree, and some thirty times a large panel."""


class TreeBudget:
    """Nodes that may run; used on the event loop."""

    def __init__(self, nodes: int = RUNNING_NODES, *, wait_s: float = QUEUE_WAIT_S) -> None:
        self._free_nodes = nodes
        self._wait_s = wait_s
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def held(self, nodes: int) -> AsyncIterator[None]:
        """Hold ``nodes`` while the block runs.

        Raises:
            ClickHouseError: 202 when they do not come free in time.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                while self._free_nodes < nodes:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise ClickHouseError(
                202,
                f"Too many simultaneous queries: {nodes} nodes of a syntax tree did not come free "
                f"in {self._wait_s:.0f} s; send shorter statements, or fewer at a time",
            ) from None
        self._free_nodes -= nodes
        try:
            yield
        finally:
            self._free_nodes += nodes
            self._freed.set()
