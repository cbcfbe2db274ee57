"""Lets a worker rest for seconds when a repair asks for it: no batch is begun, open ones finish.

A repair can look at windows only while none is half written. The rest ends by itself unless it is
renewed, so a repair that dies stops nothing for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["Hold"]

_log = logging.getLogger(__name__)

_EVERY_S: Final = 1.0


class Hold:
    """Whether a repair asks ingest to rest; runs on the worker's loop.

    Args:
        store: Asked; give it a short timeout.
        on_held: Called after every look that finds a hold.
    """

    def __init__(self, store: ClickHouse, on_held: Callable[[], None]) -> None:
        self._store = store
        self._on_held = on_held
        self._is_on = False

    def is_on(self) -> bool:
        """Tell whether no batch may be begun now."""
        return self._is_on

    async def run(self) -> None:
        """Look every second, until cancelled; a store that does not answer holds nothing."""
        while True:
            is_on, held_by = await asyncio.to_thread(self._ask)
            if is_on != self._is_on:
                event = "held_for_repair" if is_on else "goes_on_after_repair"
                log_event(_log, logging.WARNING, event, held_by=held_by)
            self._is_on = is_on
            if is_on:
                self._on_held()  # a wait that is explained is no standstill
            await asyncio.sleep(_EVERY_S)

    def _ask(self) -> tuple[bool, str]:
        try:
            (row,) = self._store.select("ingest/hold")
        except PipelineError:
            return False, ""
        return bool(row["is_held"]), str(row["held_by"])
