"""Stops a worker from storing while ClickHouse's disk is nearly full, and lets it resume later.

A full disk damages what is stored (a part without its marks was seen), so batches wait, unsealed,
while there is still room. ClickHouse itself is asked, so it holds for one on another machine too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tokentide_jobs.disk_space import DiskSpaceFloor
from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["StoreDiskSpace"]

_log = logging.getLogger(__name__)

_EVERY_S: Final = 1.0


class StoreDiskSpace:
    """Looks at the store's disk; runs on the worker's loop.

    Args:
        store: Asked; give it a short timeout.
        floor_bytes: Below this nothing is stored.
        on_look: Called after every look with the free bytes and the floor.
    """

    def __init__(
        self, store: ClickHouse, floor_bytes: int, on_look: Callable[[int, DiskSpaceFloor], None]
    ) -> None:
        self._store = store
        self._floor = DiskSpaceFloor(floor_bytes)
        self._on_look = on_look

    def is_low(self) -> bool:
        """Tell whether batches have to wait."""
        return self._floor.is_low

    async def run(self) -> None:
        """Look every second, until cancelled; a store that does not answer changes nothing."""
        while True:
            if (free_bytes := await asyncio.to_thread(self._ask)) is not None:
                self.look(free_bytes)
            await asyncio.sleep(_EVERY_S)

    def look(self, free_bytes: int) -> None:
        """Read the free space and report it."""
        floor = self._floor
        if floor.look(free_bytes):
            log_event(
                _log,
                logging.ERROR if floor.is_low else logging.WARNING,
                "disk_low" if floor.is_low else "disk_has_room",
                free_bytes=free_bytes,
                floor_bytes=floor.floor_bytes,
                resumes_at_bytes=floor.resume_bytes,
            )
        self._on_look(free_bytes, floor)

    def _ask(self) -> int | None:
        try:
            (row,) = self._store.select("status/free_space")
        except PipelineError:
            return None  # writing meets the same failure, and reports it
        return int(row["free_bytes"]) if row["disks"] else None
