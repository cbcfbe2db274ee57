"""How one batch gets into the store: the write protocol, step by step.

`Flush.write` is a generator of effects: it decides what happens next, whoever drives it decides
when, retries, and, in the crash tests, dies between any two steps. The promise: any number of
drivers, dying anywhere and starting again, leave every row of the batch in the store exactly once,
because rows and tokens depend on nothing but the records and the intent.

Order: dead letters, raw rows, window deltas, deltas to Kafka, done row. The done row moves the
position, so everything before it is repeated until it is there; acks to Kafka come after.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import Outcome, RefusedRow, process
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import DEAD_LETTERS, WINDOWS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused, SinkMisconfigured
from tokentide_jobs.io.clickhouse.known_refusals import known_refusals, letters_to_arrow
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch, LedgerStore
from tokentide_jobs.io.clickhouse.unstorable_rows import find_refused
from tokentide_jobs.jobs.ingest.stale_guard import StaleGuard

__all__ = ["Effect", "Flush", "FlushFlow", "FlushTimes", "Publisher"]


@dataclass(frozen=True, slots=True)
class Effect:
    """One step that touches the outside world; running it again must be harmless, and is."""

    name: str
    run: Callable[[], Any]


FlushFlow = Generator[Effect, Any, "tuple[Outcome, DoneBatch] | None"]
"""Yields effects, receives their results; None: somebody else has finished this batch."""


class Publisher(Protocol):
    """Sends what a batch has to say to Kafka; returns when the broker has it."""

    def publish_dead_letters(self, letters: pl.DataFrame, intent: Intent) -> None:
        """Send refused events; may send them again after a crash."""

    def publish_deltas(self, deltas: pa.Table, intent: Intent) -> None:
        """Send rows of the window table with their batch; readers drop what they know."""


@dataclass(slots=True)
class FlushTimes:
    """What the driver of one flush measures, for the done row."""

    compute_ms: float = 0.0
    insert_ms: float = 0.0
    retries: int = 0


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
        self, batch: SealedBatch[Record], intent: Intent, adopted: bool, times: FlushTimes
    ) -> FlushFlow:
        """Write `batch`, whose range is that of `intent`.

        Args:
            batch: Every record of the range.
            intent: The winner for this start, read back from the store.
            adopted: Somebody, perhaps this worker in an earlier life, may have begun it.
            times: Filled by the driver while it drives.
        """
        assert (batch.start, batch.end) == (intent.start, intent.end)
        cards = yield Effect("load_cards", lambda: self._cards_of(intent.price_version))
        refused: Sequence[RefusedRow] = ()
        if adopted:
            refused = yield Effect("read_refusals", lambda: known_refusals(self._store, intent))
        started_us = self._clock_us()
        with self._computing:
            outcome = process(batch.records, intent, cards).without(refused)
        times.compute_ms = (self._clock_us() - started_us) / 1000
        if outcome.letters.height:
            yield self._insert(DEAD_LETTERS, outcome.letters, intent, "")
            letters = outcome.letters
            yield Effect(
                "publish_dead_letters",
                lambda: self._publisher.publish_dead_letters(letters, intent),
            )
        for table in list(outcome.raw):
            outcome = yield from self._write_raw(table, outcome, intent)
        with self._computing:
            deltas = outcome.fold()
        if deltas.height:
            rows = to_arrow(WINDOWS, deltas)
            yield Effect(
                f"insert_{WINDOWS}", lambda: self._insert_windows(deltas, rows, outcome, intent)
            )
            yield Effect("publish_deltas", lambda: self._publisher.publish_deltas(rows, intent))
        done = self._done(batch, outcome, deltas.height, adopted, times)
        is_ours = yield Effect("finish", lambda: self._finish(intent, done))
        return (outcome, done) if is_ours else None

    def _write_raw(
        self, table: str, outcome: Outcome, intent: Intent
    ) -> Generator[Effect, Any, Outcome]:
        """Insert one raw table; rows the store refuses become dead letters first."""
        rows = outcome.raw[table]
        if rows.height == 0:
            return outcome
        known = outcome.refused_of(table)
        try:
            yield self._insert(table, rows, intent, _without_suffix(known))
            return outcome
        except RowsRefused as exc:
            refusal = exc
        positions: Sequence[int] = yield Effect(
            f"find_refused_{table}", lambda: find_refused(self._store, table, to_arrow(table, rows))
        )
        if not positions or (len(positions) == rows.height and rows.height > 1):
            raise SinkMisconfigured(
                f"{table} refuses every row: its columns are not what this version writes; "
                f"run `tokentide migrate` ({refusal})",
                refusal.code,
            ) from refusal
        found = [RefusedRow.of(table, row, str(refusal)) for row in rows[positions].to_dicts()]
        outcome = outcome.without(found)
        letters = outcome.letters_of(found)
        # Stored before the rest of the rows: whoever adopts this batch leaves out the same ones.
        yield self._insert(DEAD_LETTERS, letters, intent, _without_suffix(found))
        yield Effect(
            "publish_dead_letters", lambda: self._publisher.publish_dead_letters(letters, intent)
        )
        rest = outcome.raw[table]
        if rest.height:
            yield self._insert(table, rest, intent, _without_suffix(outcome.refused_of(table)))
        return outcome

    def _insert(self, table: str, rows: pl.DataFrame, intent: Intent, suffix: str) -> Effect:
        token = intent.write_token(table) + suffix
        arrow = _as_arrow(table, rows)

        def run() -> None:
            missing = self._guard.missing(table, arrow, intent)
            if missing.num_rows:
                self._store.insert(table, missing, token)

        return Effect(f"insert_{table}", run)

    def _insert_windows(
        self, deltas: pl.DataFrame, rows: pa.Table, outcome: Outcome, intent: Intent
    ) -> None:
        if not self._guard.windows_are_stored(outcome, deltas, intent):
            self._store.insert(WINDOWS, rows, intent.write_token(WINDOWS))

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
        times: FlushTimes,
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
            dead_letters=outcome.dead_letters,
            window_deltas=window_deltas,
            cost_pico_usd=outcome.cost_pico_usd(),
            adopted=adopted,
            first_record_ms=min(stamps),
            last_record_ms=max(stamps),
            first_started_at_us=first_us,
            last_started_at_us=last_us,
            compute_ms=times.compute_ms,
            insert_ms=times.insert_ms,
            retries=times.retries,
            done_at_us=self._clock_us(),
        )


def _as_arrow(table: str, rows: pl.DataFrame) -> pa.Table:
    return letters_to_arrow(rows) if table == DEAD_LETTERS else to_arrow(table, rows)


def _without_suffix(refused: Sequence[RefusedRow]) -> str:
    """Name an insert that leaves rows out, by which ones: the same ones give the same token."""
    if not refused:
        return ""
    places = ",".join(sorted(f"{row.offset}:{row.idx}" for row in refused))
    return f"/minus-{hashlib.sha256(places.encode()).hexdigest()[:16]}"
