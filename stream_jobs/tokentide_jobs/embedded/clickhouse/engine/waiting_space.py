"""One bound for what waits on disk, of all requests together: results, and external data.

Any reader may ask for a document of any length, or send one, without a password. What it takes
is watched while it is written, so that no reader takes the disk from the workers.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Final

from ..exceptions import ClickHouseError

__all__ = [
    "EXTERNAL_DATA",
    "HELD_IN_MEMORY_BYTES",
    "SpaceClaim",
    "WaitingSpace",
    "writing_to_disk",
]

HELD_IN_MEMORY_BYTES: Final = 4 << 20
"""So much is no matter for the disk."""
_AT_ONCE: Final = 2
"""So many of the longest length may wait at a time."""
_LAST_BYTES: Final = 32 << 20
"""With less free than this not even a short one is begun: a write that fails ends the engine."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing_to_disk(spool: IO[bytes] | None = None) -> Iterator[None]:
    """Tell a disk that takes no more from a connection that broke: both are an OSError.

    Args:
        spool: What is written to; closed on failure, for a later close would fail again.

    Raises:
        ClickHouseError: 243 when the disk is full, 1002 for another fault of it.
    """
    try:
        yield
    except OSError as exc:
        if spool is not None:
            with suppress(OSError):
                spool.close()
        what = exc.strerror or type(exc).__name__
        if exc.errno in _FULL:
            raise ClickHouseError(
                243, f"Not enough space for what was sent: {what}; make room, then send it again"
            ) from exc
        raise ClickHouseError(
            1002, f"What was sent cannot be written to the data directory: {what}"
        ) from exc


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, in the words of errors.

    Attributes:
        name: Of one of them.
        too_long: What to do when one is longer than it may be.
        too_many: What to do when there is no space for another.
    """

    name: str
    too_long: str
    too_many: str


RESULTS: Final = Waiting(
    "result",
    "ask for fewer rows, or in a format that is sent row by row (JSONEachRow, CSV) "
    "without wait_end_of_query",
    "ask again later, or in a format that is sent row by row",
)
EXTERNAL_DATA: Final = Waiting(
    "external data", "insert it into a table first", "send it again later"
)


class WaitingSpace:
    """Bytes of disk that what waits may take; its methods may run on any thread.

    Args:
        longest_bytes: Of one result, or of the external data of one request.
        min_free_bytes: What is left free; 0: the disk may be filled.
        directory: Where they wait.
        waiting: What they are.
    """

    def __init__(
        self,
        longest_bytes: int,
        min_free_bytes: int,
        directory: Path,
        waiting: Waiting = RESULTS,
    ) -> None:
        self.longest_bytes = longest_bytes
        self.waiting = waiting
        self._min_free_bytes = min_free_bytes
        self._directory = directory
        self._taken_bytes = 0
        self._lock = Lock()

    @contextmanager
    def claimed(self) -> Iterator[SpaceClaim]:
        """Yield the claim of one request, and give back what it took.

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
        most_bytes = _AT_ONCE * self.longest_bytes
        if taken_bytes > most_bytes:
            raise ClickHouseError(
                243,
                f"Not enough space for another {self.waiting.name}: all that wait at present take "
                f"{taken_bytes} bytes of {most_bytes}; {self.waiting.too_many}",
            )
        self._leave(self._min_free_bytes)

    def _leave(self, least_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._directory).free
        if free_bytes < least_bytes:
            raise ClickHouseError(
                243,
                f"Not enough space for another {self.waiting.name}: the disk has {free_bytes} "
                f"bytes free, and {least_bytes} are kept free; {self.waiting.too_many}",
            )


class SpaceClaim:
    """What one request takes."""

    def __init__(self, space: WaitingSpace) -> None:
        self._space = space
        self.taken_bytes = 0

    def grow_to(self, size_bytes: int) -> None:
        """Note how long it is by now.

        Raises:
            ClickHouseError: 396 when it is too long, 243 when there is no space for it.
        """
        longest_bytes, waiting = self._space.longest_bytes, self._space.waiting
        if size_bytes > longest_bytes:
            raise ClickHouseError(
                396,
                f"Limit for {waiting.name} exceeded: what is held until it is whole may have "
                f"{longest_bytes} bytes, this one has more; {waiting.too_long}",
            )
        more_bytes = (
            max(0, size_bytes - self.taken_bytes) if size_bytes > HELD_IN_MEMORY_BYTES else 0
        )
        self.taken_bytes += more_bytes
        self._space.take(more_bytes)
