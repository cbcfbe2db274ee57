"""One bound for the results that wait on disk until they are whole, of all requests together.

Whoever reads may ask for a document of any length, without a password. What it takes is watched
while it is written, so that no reader takes the disk from the workers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from ..exceptions import ClickHouseError

__all__ = ["HELD_IN_MEMORY_BYTES", "ResultSpace", "SpaceClaim"]

HELD_IN_MEMORY_BYTES: Final = 4 << 20
"""So much of a result is no matter for the disk."""
_RESULTS_AT_ONCE: Final = 2
"""So many results of the longest length may wait at a time."""
_LAST_BYTES: Final = 32 << 20
"""With less free than this not even a short result is begun: a write that fails ends the engine."""


class ResultSpace:
    """Bytes of disk that results may take; its methods may run on any thread.

    Args:
        longest_bytes: Of one result.
        min_free_bytes: What results leave free; 0: they may fill the disk.
        directory: Where results wait.
    """

    def __init__(self, longest_bytes: int, min_free_bytes: int, directory: Path) -> None:
        self.longest_bytes = longest_bytes
        self._min_free_bytes = min_free_bytes
        self._directory = directory
        self._taken_bytes = 0
        self._lock = Lock()

    @contextmanager
    def claimed(self) -> Iterator[SpaceClaim]:
        """Yield the claim of one result, and give back what it took.

        Raises:
            ClickHouseError: 243 when the disk is as good as full.
        """
        if self._min_free_bytes:
            self._leave(min(_LAST_BYTES, self._min_free_bytes))
        claim = SpaceClaim(self)
        try:
            yield claim
        finally:
            self.take(-claim.taken_bytes)

    def take(self, size_bytes: int) -> None:
        """Count more bytes as taken, or fewer.

        Raises:
            ClickHouseError: 243 when there is no space for more.
        """
        with self._lock:
            self._taken_bytes += size_bytes
            taken_bytes = self._taken_bytes
        if size_bytes <= 0:
            return
        most_bytes = _RESULTS_AT_ONCE * self.longest_bytes
        if taken_bytes > most_bytes:
            raise ClickHouseError(
                243,
                f"Not enough space for results: all that wait at present take {taken_bytes} bytes "
                f"of {most_bytes}; ask again later, or in a format that is sent row by row",
            )
        self._leave(self._min_free_bytes)

    def _leave(self, least_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._directory).free
        if free_bytes < least_bytes:
            raise ClickHouseError(
                243,
                f"Not enough space for a result: the disk has {free_bytes} bytes free, and "
                f"{least_bytes} are kept free; ask in a format that is sent row by row",
            )


class SpaceClaim:
    """What one result takes."""

    def __init__(self, space: ResultSpace) -> None:
        self._space = space
        self.taken_bytes = 0

    def grow_to(self, size_bytes: int) -> None:
        """Note how long the result is by now.

        Raises:
            ClickHouseError: 396 when it is too long, 243 when there is no space for it.
        """
        longest_bytes = self._space.longest_bytes
        if size_bytes > longest_bytes:
            raise ClickHouseError(
                396,
                f"Limit for result exceeded: a result that is held until it is whole may have "
                f"{longest_bytes} bytes, this one has more; ask for fewer rows, or in a format "
                "that is sent row by row (JSONEachRow, CSV) without wait_end_of_query",
            )
        more_bytes = (
            max(0, size_bytes - self.taken_bytes) if size_bytes > HELD_IN_MEMORY_BYTES else 0
        )
        self.taken_bytes += more_bytes
        self._space.take(more_bytes)
