"""How little free disk is too little: below a floor nothing is taken in, above it again all is.

A disk that is really full breaks more than the write that filled it, so taking in ends before.
Between the floor and a quarter more nothing changes, so that what is freed by little steps, or by
the pause itself, does not switch back and forth. Pure: the caller looks at the disk.
"""

from __future__ import annotations

__all__ = ["DiskSpaceFloor"]


class DiskSpaceFloor:
    """Whether free space is below a floor.

    Args:
        floor_bytes: Free bytes below which the disk counts as full; 0: never.
    """

    def __init__(self, floor_bytes: int) -> None:
        self.floor_bytes = floor_bytes
        self.is_low = False

    @property
    def resume_bytes(self) -> int:
        """Free bytes from which on the disk counts as usable again."""
        return self.floor_bytes + self.floor_bytes // 4

    def look(self, free_bytes: int) -> bool:
        """Take note of the free space; return whether that changed the answer."""
        was_low = self.is_low
        limit = self.resume_bytes if was_low else self.floor_bytes
        self.is_low = free_bytes < limit
        return self.is_low != was_low
