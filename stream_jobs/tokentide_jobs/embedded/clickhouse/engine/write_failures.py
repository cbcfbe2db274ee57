"""Notices that the engine could not write, which chDB's engine does not say itself.

When a write fails, on a full disk above all, the engine counts that and goes on as if it had not:
an insert is acknowledged, a merge replaces what it was made of, and neither has its rows. So a
process whose engine failed to write once answers nothing more. Started again, it finds what was cut
(`set_aside.py`), and a client that waited for an answer repeats the insert.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .connection import EngineConnection

__all__ = ["EXIT_CODE", "WriteFailures"]

EXIT_CODE: Final = 5
"""Of a process that ends itself because a write failed."""

_PERIOD_S: Final = 1.0
"""Pause between two looks. The engine keeps what it merged for eight minutes."""

_FAILED = "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"

log = logging.getLogger(__name__)


class WriteFailures:
    """Looks at the engine's counter of failed writes, on a connection that no client can set up.

    Args:
        open_connection: Opens a connection to the engine.
        last_good: A file whose time of change becomes the moment up to which no write had failed.
    """

    def __init__(self, open_connection: Callable[[], EngineConnection], last_good: Path) -> None:
        self._connection = open_connection()
        self._last_good = last_good
        self._looking = threading.Lock()

    def end_if_any(self) -> None:
        """End this process at once if the engine ever failed to write; takes a millisecond."""
        with self._looking:
            now_ns = time.time_ns()
            failed = bytes(self._connection.query(_FAILED, "TSVRaw").bytes())
            if not failed:
                with contextlib.suppress(OSError):  # could not be made on a full disk
                    os.utime(self._last_good, ns=(now_ns, now_ns))
                return
        log.error(
            "the engine failed to write %s times (is the disk full?): ending at once, since what "
            "it stores now cannot be relied on; started again it finds what was cut",
            failed.decode().strip(),
        )
        logging.shutdown()
        os._exit(EXIT_CODE)

    async def watch(self) -> None:
        """Look every second, for merges and the query log have no client; until cancelled."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                await asyncio.to_thread(self.end_if_any)
            except Exception:
                log.exception("cannot see whether writes failed; looking again")

    def close(self) -> None:
        """Look a last time and let go of the connection."""
        self.end_if_any()
        self._connection.close()
