"""Inspection off the event loop: each kind of account has an inspector and a thread of its own.

However much readers send, the inspection of an insert waits only for those of other writers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..engine.connection import EngineConnection
from .accounts import User
from .catalogue import Catalogue
from .inspector import Inspector
from .statement_limits import READER_LIMITS, WRITER_LIMITS
from .system_tables import check_filter, check_system_tables

T = TypeVar("T")


class Inspection:
    """Inspectors of one engine."""

    def __init__(self, open_connection: Callable[[], EngineConnection]) -> None:
        catalogue = Catalogue.of(open_connection)
        self._of_readers = Inspector(
            open_connection,
            catalogue,
            READER_LIMITS,
            check_system_tables,
            check_filter,
            refuses_states=True,
        )
        self._of_writers = Inspector(open_connection, catalogue, WRITER_LIMITS)
        self._reader_thread = ThreadPoolExecutor(1, "inspect-reader")
        self._writer_thread = ThreadPoolExecutor(1, "inspect-writer")

    async def run(self, user: User, work: Callable[[Inspector], T]) -> T:
        """Run ``work`` with the inspector and on the thread for this user's kind of account."""
        inspector = self._of_readers if user.readonly else self._of_writers
        thread = self._reader_thread if user.readonly else self._writer_thread
        return await asyncio.get_running_loop().run_in_executor(thread, work, inspector)
