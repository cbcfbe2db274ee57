"""What a worker knows of events that were taken out: the newest decision, and the ids at any.

A batch is sealed under the newest decision that is known, and written with the ids of its intent's
decision, even of another worker. A decision never changes, so its ids can be remembered.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Final

from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.void_reads import newest_void_revision, voided_ids
from tokentide_jobs.jobs.runtime.log import log_event

__all__ = ["VoidList"]

_log = logging.getLogger(__name__)

_EVERY_S: Final = 1.0


class VoidList:
    """Decisions about events that are out. Safe to share by threads.

    Args:
        store: Asked; give it a short timeout.
    """

    def __init__(self, store: ClickHouse) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._newest = 0
        self._known: tuple[int, frozenset[str]] = (0, frozenset())

    @property
    def newest(self) -> int:
        """The newest decision that is known."""
        return self._newest

    def look(self) -> None:
        """Ask for the newest decision; raises as any query does."""
        # A replica that lags must not make a worker forget what it knew.
        self._newest = max(self._newest, newest_void_revision(self._store))

    def ids_at(self, revision: int) -> frozenset[str]:
        """Return the ids of events that were out at a decision; raises as any query does."""
        with self._lock:
            known, ids = self._known
        if known != revision:
            ids = voided_ids(self._store, revision)
            with self._lock:
                self._known = (revision, ids)
        return ids

    async def run(self) -> None:
        """Look every second, until cancelled; while the store does not answer nothing is new."""
        while True:
            await asyncio.sleep(_EVERY_S)
            before = self._newest
            try:
                await asyncio.to_thread(self.look)
            except PipelineError:
                continue
            if self._newest != before:
                log_event(_log, logging.INFO, "events_voided", revision=self._newest)
