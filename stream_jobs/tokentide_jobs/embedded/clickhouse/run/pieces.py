"""A streamed result in the pieces it comes in, joined to what goes out at a time.

A piece is held by this process until it is sent, so its memory is taken from a budget that all
requests share.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final

from ..wire import native
from ..wire.output_formats import ARROW_STREAM_END
from .time_zones import time_zones

if TYPE_CHECKING:
    from ..access.statement import Statement
    from ..engine.connection import EngineConnection, EngineResult
    from ..engine.memory_budget import MemoryBudget
    from ..engine.waiting_space import SpaceClaim
    from ..response.reply import Reply

HELD_BYTES: Final = 1 << 20
"""How much of a result is held back before the headers go out (the server's buffer_size)."""

_HELD_S: Final = 0.5
"""How long rows are held back before what there is goes out."""
_COPIES: Final = 3
"""How often a piece exists in this process while it is converted, joined and compressed."""


class Pieces:
    """A streamed result; every method runs on the request's thread."""

    def __init__(
        self,
        statement: Statement,
        output_format: str,
        revision: int,
        join: Callable[[memoryview], memoryview],
        reply: Reply,
        budget: MemoryBudget,
        zones_beside: Callable[[], dict[int, str]],
    ) -> None:
        self._statement = statement
        self._format = output_format
        self._revision = revision if output_format == "Native" else 0
        self._join = join
        self._summary = reply.summary
        self._budget = budget
        self._taken_bytes = 0
        self._stream: Any = None
        self._sent_any = False
        self._zones_beside = zones_beside
        self._zones: dict[int, str] | None = None

    def begin(self, connection: EngineConnection) -> None:
        """Start the query; the engine reports most errors only with the first piece."""
        self._stream = connection.send_query(self._statement.sql_bytes, self._format)

    def ask_zones(self, connection: EngineConnection) -> None:
        """Ask for the time zones of columns on the query's own connection, before it begins."""
        if self._revision >= native.REVISION_TIME_ZONES:
            self._zones = time_zones(connection, self._statement)

    def fetch(self, connection: EngineConnection) -> tuple[bytes, bool]:
        """Fetch the next megabyte of the result or what half a second gave, and whether it ends."""
        self.let_go()
        held: list[bytes | memoryview] = []
        size = 0
        give_at_s = float("inf")
        while size < HELD_BYTES and time.monotonic() < give_at_s:
            piece = self._next(connection)
            if piece is None:
                if self._format == "ArrowStream":
                    held.append(ARROW_STREAM_END)
                return b"".join(held), True
            if not held:
                # The clock starts with the first rows: a slow aggregate is still sent as a whole.
                give_at_s = time.monotonic() + _HELD_S
            held.append(piece)
            size += len(piece)
        return b"".join(held), False

    def drain(self, connection: EngineConnection, spool: IO[bytes], claim: SpaceClaim) -> int:
        """Write the rest of the result behind what is in ``spool``; returns the size of all."""
        size, ended = spool.tell(), False
        while not ended:
            block, ended = self.fetch(connection)
            size += len(block)
            claim.grow_to(size)
            spool.write(block)
        return size

    def let_go(self) -> None:
        """Give the memory of the pieces back that were sent."""
        taken, self._taken_bytes = self._taken_bytes, 0
        self._budget.give_back(taken)

    def _next(self, connection: EngineConnection) -> bytes | memoryview | None:
        result = connection.streaming_fetch_result(self._stream)
        if result is None:
            return None
        needed = result.size() * _COPIES
        self._budget.take(needed)
        self._taken_bytes += needed
        rows = result.rows_read()
        read_rows, read_bytes = storage_read(result)
        self._summary.read_rows += read_rows
        self._summary.read_bytes += read_bytes
        self._summary.result_rows += rows
        self._summary.result_bytes += result.bytes_read()
        data = bytes(result.bytes())
        if rows == 0:
            # The end; for an empty result it carries the format's header.
            return self._join(memoryview(data)) if data and not self._sent_any else None
        self._sent_any = True
        if self._revision:
            if self._zones is None and native.may_hide_time_zones(data, self._revision):
                self._zones = self._zones_beside()
            return native.upgrade(data, self._revision, rows, self._zones or {})
        return self._join(memoryview(data))


def storage_read(result: EngineResult) -> tuple[int, int]:
    """Return the rows and bytes that were read from storage."""
    return result.storage_rows_read(), result.storage_bytes_read()
