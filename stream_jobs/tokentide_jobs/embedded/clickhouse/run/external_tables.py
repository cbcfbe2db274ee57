"""External data: tables that came with a query, made before it and gone after it.

The engine holds them in memory. Each request takes its part of a budget first, and the engine stops
to read data that unpacks to more than that part: a small file may hold a large table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from ..literals import quote, quote_name, set_statement
from .shared_budget import SharedBudget

if TYPE_CHECKING:
    from ..access.external_table import ExternalTable
    from ..engine.connection import EngineConnection
    from ..engine.pool import EngineJob

LONGEST_BYTES: Final = 64 << 20
"""Most external data of one request."""

_UNPACKED: Final = 8
"""How much larger than its data a table may be before it needs more than its part."""
_LEAST_BYTES: Final = 32 << 20
"""What reading takes however short the data is."""
_LOAD_S: Final = 60
_READING: Final = ("input_format_", "format_", "date_time_input_format")
"""Beginnings of the names of settings that say how data is read."""


def memory_budget(size_bytes: int) -> SharedBudget:
    """Return the bound on the external data of all requests together."""
    return SharedBudget(
        size_bytes,
        "bytes of memory for external data",
        "send less of it, or insert it into a table first",
    )


class ExternalTables:
    """The tables of one request; `load` and `drop` run on its thread."""

    def __init__(self, tables: tuple[ExternalTable, ...], budget: SharedBudget) -> None:
        self._tables = tables
        self._budget = budget
        self._made: list[str] = []
        self._memory_bytes = 0
        self._is_taken_over = False

    @classmethod
    @asynccontextmanager
    async def with_memory(
        cls, tables: tuple[ExternalTable, ...], budget: SharedBudget
    ) -> AsyncIterator[ExternalTables]:
        """Take the memory for ``tables``; what no job has taken over is given back at the end.

        Raises:
            ClickHouseError: 202 when it does not come free in time.
        """
        found = cls(tables, budget)
        if tables:
            needed = _LEAST_BYTES + _UNPACKED * sum(table.size_bytes for table in tables)
            needed = min(needed, budget.amount)
            await budget.take(needed)
            found._memory_bytes = needed
        try:
            yield found
        finally:
            if not found._is_taken_over:
                budget.give_back(found._memory_bytes)

    def stay_with(self, job: EngineJob) -> None:
        """Keep the memory until the job's connection is closed, however its request ends."""
        self._is_taken_over = True
        job.after_close(lambda: self._budget.give_back(self._memory_bytes))

    def load(self, connection: EngineConnection, settings: Mapping[str, str]) -> None:
        """Make the tables on a connection that may still write.

        Args:
            connection: Of the request.
            settings: Of the request; those that say how data is read are set.

        Raises:
            ENGINE_ERRORS: The engine's words on the data.
        """
        if not self._tables:
            return
        reading = {name: value for name, value in settings.items() if name.startswith(_READING)}
        if reading:
            connection.query(set_statement(reading), "Null")
        left_bytes = self._memory_bytes
        for table in self._tables:
            connection.query(table.definition, "Null")
            self._made.append(table.name)
            if not table.size_bytes:
                continue
            result = connection.query(
                f"INSERT INTO {quote_name(table.name)} "
                f"FROM INFILE {quote(table.data_path)} COMPRESSION 'none' "
                f"SETTINGS max_memory_usage = {left_bytes}, max_execution_time = {_LOAD_S}, "
                "max_threads = 1, input_format_parallel_parsing = 0 "
                f"FORMAT {table.input_format}",
                "Null",
            )
            left_bytes = max(1, left_bytes - result.bytes_written())

    def drop(self, connection: EngineConnection) -> None:
        """Forget the tables on a connection that outlives the request."""
        for name in self._made:
            connection.query(f"DROP TEMPORARY TABLE {quote_name(name)}", "Null")
