"""Whether the disk of a directory has room, for services that must stop before it is full."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from tokentide_jobs.disk_space import DiskSpaceFloor

__all__ = ["LocalDiskSpace"]


class LocalDiskSpace:
    """Looks at a disk; safe to share by threads.

    Args:
        directory: Somewhere on it.
        floor_bytes: Free bytes below which it counts as full.
    """

    def __init__(self, directory: Path, floor_bytes: int) -> None:
        self._directory = directory
        self._floor = DiskSpaceFloor(floor_bytes)
        self._looking = threading.Lock()

    def is_full(self) -> bool:
        """Tell whether it counts as full now."""
        with self._looking:
            self._floor.look(self.free_bytes())
            return self._floor.is_low

    def free_bytes(self) -> int:
        """Return the free bytes now."""
        return shutil.disk_usage(self._directory).free
