"""How the rows of one insert get into their table, whatever the store has against them.

An insert that the store keeps refusing for its size (memory limit) is split, and halves are looked
for before they are inserted, since the whole may have got there after all. Rows that a table
refuses for what they hold are found and returned. Everything else is the driver's: it retries.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.batch.life import Effect, Effects
from tokentide_jobs.core.outcome.batch_inserts import Insert
from tokentide_jobs.core.outcome.outcome import RefusedRow
from tokentide_jobs.core.tables import DELTA_TABLES, RAW_TABLES
from tokentide_jobs.errors import ConfigError, RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import (
    MEMORY_LIMIT_EXCEEDED,
    InsertTooLarge,
    RowsRefused,
    SinkMisconfigured,
)
from tokentide_jobs.io.clickhouse.refused_rows import find_refused_rows
from tokentide_jobs.jobs.ingest.stale_guard import StaleGuard

__all__ = ["Insertion", "Stopwatch"]

_TRIES: Final = 4
"""So often a memory limit is taken for a passing one."""
_SMALLEST_SPLIT_ROWS: Final = 512
"""A store that has no memory for so few rows has none for any: that is an outage, waited out."""


class Stopwatch:
    """Measures the effects of one batch for its done row, however often each is tried."""

    def __init__(self) -> None:
        self.insert_ms = 0.0
        self.retries = 0

    def effect(self, name: str, run: Callable[[], Any]) -> Effect:
        """Return an effect that is timed from its first try to its success."""
        started_s: list[float] = []

        def timed() -> Any:
            started_s.append(time.monotonic())
            try:
                result = run()
            except (RetriableSinkError, ConfigError):
                self.retries += 1
                raise
            self.insert_ms += (time.monotonic() - started_s[0]) * 1000
            return result

        return Effect(name, timed)


class Insertion:
    """Carries out the inserts of one batch.

    Args:
        store: Where rows go.
        guard: Knows which rows are there already.
        intent: Of the batch.
        adopted: This batch may have been begun before, and an insert of it may have been split.
        watch: Measures.
    """

    def __init__(
        self, store: ClickHouse, guard: StaleGuard, intent: Intent, adopted: bool, watch: Stopwatch
    ) -> None:
        self._store = store
        self._guard = guard
        self._intent = intent
        self._watch = watch
        self._may_be_split = adopted

    def carry_out(self, insert: Insert) -> Effects[list[RefusedRow]]:
        """Store all rows of an insert; or return those that the table refuses.

        When some are refused, others of the same insert may or may not be stored already.
        """
        table = insert.table
        try:
            yield self._watch.effect(f"insert_{table}", self._trying(insert))
        except InsertTooLarge:
            self._may_be_split = True
            refused: list[RefusedRow] = []
            for half in insert.halves():
                refused += yield from self.carry_out(half)
            return refused
        except RowsRefused as exc:
            refusal = str(exc)
            positions: list[int] = yield self._watch.effect(
                f"find_refused_{table}", lambda: self._find_refused(insert)
            )
            places = insert.rows.select(["_offset", "_idx"]).take(positions) if positions else None
            found = [] if places is None else places.to_pylist()
            return [RefusedRow.of(table, row, refusal) for row in found]
        return []

    def _trying(self, insert: Insert) -> Callable[[], None]:
        """Return what inserts, and after some tries takes a memory limit for one that stays."""
        is_large = insert.rows.num_rows > _SMALLEST_SPLIT_ROWS
        can_be_split = is_large and insert.table not in DELTA_TABLES
        refusals: list[RetriableSinkError] = []

        def run() -> None:
            try:
                self._insert(insert)
            except RetriableSinkError as exc:
                if exc.code == MEMORY_LIMIT_EXCEEDED:
                    refusals.append(exc)
                if can_be_split and len(refusals) >= _TRIES:
                    raise InsertTooLarge(str(exc), MEMORY_LIMIT_EXCEEDED) from exc
                raise

        return run

    def _insert(self, insert: Insert) -> None:
        is_whole_or_nothing = insert.table in DELTA_TABLES or (
            insert.rows.num_rows <= _SMALLEST_SPLIT_ROWS and not insert.is_part
        )
        look = self._may_be_split and not is_whole_or_nothing
        missing = self._guard.missing(insert, self._intent, look=look)
        if missing.num_rows:
            self._store.insert(insert.table, missing, insert.token)

    def _find_refused(self, insert: Insert) -> list[int]:
        """Return the positions of the rows that the table refuses; none once it takes them all.

        Raises:
            SinkMisconfigured: It refuses every row, which is not a matter of data.
        """
        table, rows = insert.table, insert.rows
        try:
            self._insert(insert)
        except RowsRefused as exc:
            is_raw = table in RAW_TABLES.values()
            positions = find_refused_rows(self._store, table, rows) if is_raw else []
            if not positions or (len(positions) == rows.num_rows and rows.num_rows > 1):
                raise SinkMisconfigured(
                    f"{table} refuses every row: its columns are not what this version writes; "
                    f"run `tokentide migrate` ({exc})",
                    exc.code,
                ) from exc
            return positions
        return []
