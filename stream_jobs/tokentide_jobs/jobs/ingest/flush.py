"""How one batch gets into the store: the write protocol, step by step.

`Flush.write` is a generator of effects: the outcome states what is inserted, flush carries it out,
and its driver retries. The promise: any number of drivers, dying anywhere and starting again, leave
every row of the batch in the store exactly once, because rows and tokens depend on nothing but the
records and the intent.

Order: dead letters, raw rows, window deltas, subject deltas, each followed by what is published of
it, steps of runs and changes, which are published only, then the done row, which moves the
position: everything before it is repeated until it is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.batch.life import Effects
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.change.change_rows import CHANGES
from tokentide_jobs.core.guard.step_rows import STEPS
from tokentide_jobs.core.outcome.arrow import published
from tokentide_jobs.core.outcome.batch_inserts import (
    Insert,
    dead_letters_for,
    inserts_after,
    inserts_of,
)
from tokentide_jobs.core.outcome.outcome import Outcome, RefusedRow, process
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.agent_logs import HashUser, no_user_hash
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import DEAD_LETTERS, DELTA_TABLES, RAW_TABLES, WINDOWS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.known_refused_rows import known_refused_rows
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch, LedgerStore
from tokentide_jobs.jobs.ingest.insertion import Insertion, Stopwatch
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

    def publish_deltas(self, table: str, deltas: pa.Table, intent: Intent) -> None:
        """Send deltas of windows or subjects, STEPS or CHANGES; readers drop repeats."""


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
        hash_user: What stands for a user that a log record of OTLP names.
        voided_at: Returns the ids of events that were out at a decision.
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
        hash_user: HashUser = no_user_hash,
        voided_at: Callable[[int], Collection[str]] = lambda _revision: (),
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._publisher = publisher
        self._cards_of = cards_of
        self._clock_us = clock_us
        self._worker = worker
        self._hash_user = hash_user
        self._voided_at = voided_at
        self._guard = StaleGuard(store, ledger, clock_us, token_window_us)
        # A worker is meant for one core: batches computed side by side would share its caches and
        # add up their memory. The others wait for the store meanwhile.
        self._computing = threading.Lock()

    def write(
        self, batch: SealedBatch[Record], intent: Intent, adopted: bool
    ) -> Effects[Written | None]:
        """Write `batch`, whose range is that of `intent`; None: another worker has finished it.

        Args:
            batch: Every record of the range.
            intent: The winner for this start, read back from the store.
            adopted: Another worker, or this one before a restart, may have begun it.
        """
        assert (batch.start, batch.end) == (intent.start, intent.end)
        watch = Stopwatch()
        cards, voided = yield watch.effect("load_cards", lambda: self._decided(intent))
        refused: tuple[RefusedRow, ...] = ()
        if adopted:
            refused = yield watch.effect(
                "read_refusals", lambda: known_refused_rows(self._store, intent)
            )
        started_us = self._clock_us()
        with self._computing:
            outcome = process(batch.records, intent, cards, self._hash_user, voided)
            outcome = outcome.without(refused)
        compute_ms = (self._clock_us() - started_us) / 1000
        insertion = Insertion(self._store, self._guard, intent, adopted, watch)
        window_deltas = 0
        inserts = inserts_of(outcome)
        while True:
            insert = None  # the last one is let go of before the next one is computed
            started_us = self._clock_us()
            with self._computing:
                insert = next(inserts, None)
            compute_ms += (self._clock_us() - started_us) / 1000
            if insert is None:
                break
            found = yield from insertion.carry_out(insert)
            if found:
                outcome = outcome.without(found)
                # Stored before the rest: a worker that adopts this batch leaves out the same rows.
                for dead_letters in dead_letters_for(outcome, found):
                    yield from insertion.carry_out(dead_letters)
                    yield from self._publish(dead_letters, intent, watch)
                inserts = inserts_after(outcome, insert.table)
                continue
            yield from self._publish(insert, intent, watch)
            window_deltas += insert.rows.num_rows if insert.table == WINDOWS else 0
        yield from self._publish_only(outcome, intent, watch)
        done = self._done(batch, outcome, window_deltas, adopted, compute_ms, watch)
        is_ours = yield watch.effect("finish", lambda: self._finish(intent, done))
        return Written(outcome, done) if is_ours else None

    def _decided(self, intent: Intent) -> tuple[CardTable, Collection[str]]:
        """Return the cards, and the ids of events that are out, by what an intent decided."""
        cards = self._cards_of(intent.price_version)
        return cards, self._voided_at(intent.void_revision) if intent.void_revision else ()

    def _publish(self, insert: Insert, intent: Intent, watch: Stopwatch) -> Effects[None]:
        """Send to Kafka what readers of a topic want to know of an insert."""
        rows = insert.rows
        if insert.table == DEAD_LETTERS:
            yield watch.effect(
                "publish_dead_letters", lambda: self._publisher.publish_dead_letters(rows, intent)
            )
        elif insert.table in DELTA_TABLES:
            yield watch.effect(
                f"publish_{insert.table}",
                lambda: self._publisher.publish_deltas(insert.table, rows, intent),
            )

    def _publish_only(self, outcome: Outcome, intent: Intent, watch: Stopwatch) -> Effects[None]:
        """Send what detection wants to know of rows that are stored, beside their deltas."""
        with self._computing:
            # Changes first: a step of the same batch may be explained by one.
            wanted = ((CHANGES, outcome.changes()), (STEPS, outcome.steps()))
        for what, frame in wanted:
            if frame.height:
                send = partial(self._publisher.publish_deltas, what, published(frame), intent)
                yield watch.effect(f"publish_{what}", send)

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
        watch: Stopwatch,
    ) -> DoneBatch:
        stamps = [record.timestamp_ms for record in batch.records] or [0]
        first_us, last_us = outcome.started_range_us()
        return DoneBatch(
            records=len(batch.records),
            bytes=sum(len(record.value) for record in batch.records),
            events=outcome.events,
            requests=outcome.rows(RAW_TABLES["request"]),
            evaluations=outcome.rows(RAW_TABLES["evaluation"]),
            feedback=outcome.rows(RAW_TABLES["feedback"]),
            changes=outcome.rows(RAW_TABLES["change"]),
            stats=outcome.rows(RAW_TABLES["stats"]),
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
