"""How one batch gets into the store: the write protocol, step by step.

`Flush.write` is a generator of effects: the outcome says what is inserted, flush carries it out,
and whoever drives it retries. The promise: any number of drivers, dying anywhere and starting
again, leave every row of the batch in the store exactly once, because rows and tokens depend on
nothing but the records and the intent.

Order: dead letters, raw rows, window deltas, each followed by what is published of it, done row.
The done row moves the position, so everything before it is repeated until it is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.batch.life import Effect, Effects
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.outcome.batch_inserts import (
    Insert,
    dead_letters_for,
    inserts_after,
    inserts_of,
)
from tokentide_jobs.core.outcome.outcome import Outcome, RefusedRow, process
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import DEAD_LETTERS, RAW_TABLES, WINDOWS
from tokentide_jobs.errors import ConfigError, RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused, SinkMisconfigured
from tokentide_jobs.io.clickhouse.known_refused_rows import known_refused_rows
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch, LedgerStore
from tokentide_jobs.io.clickhouse.refused_rows import find_refused_rows
from tokentide_jobs.jobs.ingest.stale_guard import StaleGuard

__all__ = ["Flush", "Publisher", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch that we have written."""

    outcome: Outcome
    done: DoneBatch


class Publisher(Protocol):
    """Sends what a batch has to say to Kafka; returns when the broker has it."""

    def publish_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        """Send refused events; may send them again after a crash."""

    def publish_deltas(self, deltas: pa.Table, intent: Intent) -> None:
        """Send rows of the window table with their batch; readers drop what they know."""


class _Stopwatch:
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


class Flush:
    """The write protocol over one store. Holds no state of any batch; safe to share by threads.

    Args:
        store: Where rows go.
        ledger: Where intents and done rows go.
        publisher: Where dead letters and deltas go besides.
        cards_of: Returns the card table of a price version, loading it if it is foreign.
        clock_us: Epoch microseconds, for stale intents and the done row.
        worker: Name of this process in the ledger.
        token_window_us: How long the store can be trusted to remember a token.
    """

    def __init__(
        self,
        store: ClickHouse,
        ledger: LedgerStore,
        publisher: Publisher,
        cards_of: Callable[[str], CardTable],
        clock_us: Callable[[], int],
        worker: str,
        token_window_us: int,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._publisher = publisher
        self._cards_of = cards_of
        self._clock_us = clock_us
        self._worker = worker
        self._guard = StaleGuard(store, ledger, clock_us, token_window_us)
        # A worker is meant for one core: batches computed side by side would share its caches and
        # add up their memory. The others wait for the store meanwhile.
        self._computing = threading.Lock()

    def write(
        self, batch: SealedBatch[Record], intent: Intent, adopted: bool
    ) -> Effects[Written | None]:
        """Write `batch`, whose range is that of `intent`; None: somebody else has finished it.

        Args:
            batch: Every record of the range.
            intent: The winner for this start, read back from the store.
            adopted: Somebody, perhaps this worker in an earlier life, may have begun it.
        """
        assert (batch.start, batch.end) == (intent.start, intent.end)
        watch = _Stopwatch()
        cards = yield watch.effect("load_cards", lambda: self._cards_of(intent.price_version))
        refused: tuple[RefusedRow, ...] = ()
        if adopted:
            refused = yield watch.effect(
                "read_refusals", lambda: known_refused_rows(self._store, intent)
            )
        started_us = self._clock_us()
        with self._computing:
            outcome = process(batch.records, intent, cards).without(refused)
            inserts = inserts_of(outcome)
        compute_ms = (self._clock_us() - started_us) / 1000
        window_deltas = 0
        while inserts:
            insert = inserts.pop(0)
            found = yield from self._carry_out(insert, intent, watch)
            if found:
                outcome = outcome.without(found)
                # Stored before the rest: whoever adopts this batch leaves out the same rows.
                yield from self._carry_out(dead_letters_for(outcome, found), intent, watch)
                inserts = inserts_after(outcome, insert.table)
            elif insert.table == WINDOWS:
                window_deltas += insert.rows.num_rows
        done = self._done(batch, outcome, window_deltas, adopted, compute_ms, watch)
        is_ours = yield watch.effect("finish", lambda: self._finish(intent, done))
        return Written(outcome, done) if is_ours else None

    def _carry_out(
        self, insert: Insert, intent: Intent, watch: _Stopwatch
    ) -> Generator[Effect, Any, list[RefusedRow]]:
        """Insert and publish; return the rows that the table refuses, of which none is stored."""
        table, rows = insert.table, insert.rows
        try:
            yield watch.effect(f"insert_{table}", lambda: self._insert(insert, intent))
        except RowsRefused as exc:
            refusal = str(exc)
            positions: list[int] = yield watch.effect(
                f"find_refused_{table}", lambda: self._find_refused(insert, intent)
            )
            if positions:
                refused = rows.select(["_offset", "_idx"]).take(positions).to_pylist()
                return [RefusedRow.of(table, row, refusal) for row in refused]
        if table == DEAD_LETTERS:
            yield watch.effect(
                "publish_dead_letters", lambda: self._publisher.publish_dead_letters(rows, intent)
            )
        elif table == WINDOWS:
            yield watch.effect(
                "publish_deltas", lambda: self._publisher.publish_deltas(rows, intent)
            )
        return []

    def _insert(self, insert: Insert, intent: Intent) -> None:
        missing = self._guard.missing(insert, intent)
        if missing.num_rows:
            self._store.insert(insert.table, missing, insert.token)

    def _find_refused(self, insert: Insert, intent: Intent) -> list[int]:
        """Return the positions of the rows that the table refuses; none once it takes them all.

        Raises:
            SinkMisconfigured: It refuses every row, which is not a matter of data.
        """
        table, rows = insert.table, insert.rows
        try:
            self._insert(insert, intent)
        except RowsRefused as exc:
            positions = (
                find_refused_rows(self._store, table, rows) if table in RAW_TABLES.values() else []
            )
            if not positions or (len(positions) == rows.num_rows and rows.num_rows > 1):
                raise SinkMisconfigured(
                    f"{table} refuses every row: its columns are not what this version writes; "
                    f"run `tokentide migrate` ({exc})",
                    exc.code,
                ) from exc
            return positions
        return []

    def _finish(self, intent: Intent, done: DoneBatch) -> bool:
        if self._guard.is_done(intent):
            return False
        self._ledger.finish(intent, done, self._worker)
        return True

    def _done(
        self,
        batch: SealedBatch[Record],
        outcome: Outcome,
        window_deltas: int,
        adopted: bool,
        compute_ms: float,
        watch: _Stopwatch,
    ) -> DoneBatch:
        stamps = [record.timestamp_ms for record in batch.records] or [0]
        first_us, last_us = outcome.started_range_us()
        return DoneBatch(
            records=len(batch.records),
            bytes=sum(len(record.value) for record in batch.records),
            events=outcome.events,
            requests=outcome.rows("raw_requests"),
            evaluations=outcome.rows("raw_evaluations"),
            feedback=outcome.rows("raw_feedback"),
            changes=outcome.rows("raw_changes"),
            stats=outcome.rows("raw_stats"),
            dead_letters=outcome.dead_letter_count,
            window_deltas=window_deltas,
            cost_pico_usd=outcome.cost_pico_usd(),
            adopted=adopted,
            first_record_ms=min(stamps),
            last_record_ms=max(stamps),
            first_started_at_us=first_us,
            last_started_at_us=last_us,
            compute_ms=compute_ms,
            insert_ms=watch.insert_ms,
            retries=watch.retries,
            done_at_us=self._clock_us(),
        )
