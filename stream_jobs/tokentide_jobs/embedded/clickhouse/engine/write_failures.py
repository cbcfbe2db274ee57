"""Notices that the engine could not write, which chDB's engine does not say itself.

When a write fails, on a full disk above all, the engine counts that and goes on as if it had not:
an insert is acknowledged, a merge replaces what it was made of, and neither has its rows. So a
process whose engine failed to write once answers nothing more. Started again, it finds what was cut
(`set_aside.py`), and whoever waited for an answer repeats the insert.
"""

from __future__ import annotations

import logging
import os
from typing import Final

from .connection import EngineConnection

__all__ = ["EXIT_CODE", "end_if_writes_failed"]

EXIT_CODE: Final = 5
"""Of a process that ends itself because a write failed."""

_FAILED = "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"

log = logging.getLogger(__name__)


def end_if_writes_failed(connection: EngineConnection) -> None:
    """End this process at once if the engine ever failed to write; takes a millisecond."""
    failed = bytes(connection.query(_FAILED, "TSVRaw").bytes())
    if not failed:
        return
    log.error(
        "the engine failed to write %s times (is the disk full?): ending at once, since what it "
        "stores now cannot be relied on; started again it finds what was cut",
        failed.decode().strip(),
    )
    logging.shutdown()
    os._exit(EXIT_CODE)
