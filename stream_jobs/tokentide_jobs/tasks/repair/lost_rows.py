"""Bringing raw rows back that are lost, from the log, where Kafka still has their records.

A batch's rows follow from its records and its intent alone, and both are kept: so what is computed
again is what was stored. Only rows that are not there are inserted, under a token that says how
often rows of the batch were brought back: two repairs at once use the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import Outcome, process
from tokentide_jobs.core.record.agent_logs import HashUser, no_user_hash
from tokentide_jobs.core.record.record import Record, record_ms
from tokentide_jobs.core.record.topics import log_ids
from tokentide_jobs.core.tables import RAW_REQUESTS
from tokentide_jobs.errors import RetriableSinkError, WrongData
from tokentide_jobs.io.clickhouse.card_store import load_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.known_refused_rows import known_refused_rows
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.clickhouse.void_reads import voided_ids
from tokentide_jobs.io.clickhouse.window_sums import Span
from tokentide_jobs.io.kafka.admin import topic_log_id
from tokentide_jobs.io.kafka.offsets import offset_ranges
from tokentide_jobs.io.kafka.spans import read_spans
from tokentide_jobs.tasks.repair.records import FinishedBatch, RepairRecords

__all__ = ["LostRowsOfLog", "RecordSource", "Restored"]

_RUN: Final = "restore"
_ATTEMPTS: Final = 5
"""Looks at one batch: one finds rows lost, one finds none, one more after a repair that died."""


@dataclass(frozen=True, slots=True)
class RecordSource:
    """Where records are.

    Attributes:
        bootstrap: The broker.
        restarted_logs: The words under which topics are read as new logs, by topic.
        hash_user: What stands for a user that a log record of OTLP names, as for ingest.
    """

    bootstrap: str
    restarted_logs: Mapping[str, str]
    hash_user: HashUser = no_user_hash


@dataclass(frozen=True, slots=True)
class Restored:
    """Rows of one batch that are there again."""

    batch: FinishedBatch
    rows: Mapping[str, int]
    """By raw table."""


class LostRowsOfLog:
    """Finds batches without all of their raw rows, and inserts what they lack.

    Args:
        store: The database.
        records: Knows which batches lack rows.
        log: Where their records are.
        dry_run: Compute and report; write nothing.
    """

    def __init__(
        self, store: ClickHouse, records: RepairRecords, log: RecordSource, *, dry_run: bool
    ) -> None:
        self._store = store
        self._records = records
        self._log = log
        self._dry_run = dry_run
        self._ledger = LedgerStore(store)

    def run(
        self, span: Span, kept_from_us: int, progress: Callable[[str], None]
    ) -> Iterator[Restored]:
        """Restore batches with events in a span, yielding each when its rows are in.

        Args:
            span: Event times.
            kept_from_us: As for `RepairRecords.check_rows`.
            progress: Called with every step before it is taken.

        Raises:
            WrongData: Kafka does not have the records any more, or they are not those that the
                batch was made from.
        """
        for batch in self._records.batches_lacking_rows(span, kept_from_us):
            progress(f"read {batch} from Kafka")
            if (restored := self.restore(batch, self.outcome(batch))) is not None:
                yield restored

    def restore(self, batch: FinishedBatch, outcome: Outcome) -> Restored | None:
        """Insert the rows that one batch lacks; None: it lacks none. What is out stays out."""
        restored: dict[str, int] = {}
        for _ in range(_ATTEMPTS):
            # Asked before looking: a repair that sees rows which another one is inserting now
            # must use the same token.
            earlier = {table: self._earlier(table, outcome.intent) for table in outcome.raw}
            lacking = self._lacking(batch, outcome)
            restored = restored or {table: rows.height for table, rows in lacking.items()}
            if self._dry_run or not lacking:
                break
            first_us, last_us = outcome.started_range_us()
            written = Span(first_us, last_us + 1)
            for table, rows in lacking.items():
                self._insert(table, rows, outcome.intent, written, earlier[table])
        else:
            raise RetriableSinkError(f"{batch}: its rows do not stay; repair again")
        return Restored(batch, restored) if restored else None

    def _earlier(self, table: str, intent: Intent) -> int:
        return self._records.restorations(f"{_RUN}/{intent.write_token(table)}/")

    def _insert(
        self, table: str, rows: pl.DataFrame, intent: Intent, span: Span, earlier: int
    ) -> None:
        """Insert rows and write it down; the same rows may be lost again, and come again then."""
        run_id = f"{_RUN}/{intent.write_token(table)}/{earlier}"
        self._store.insert(table, to_arrow(table, rows), run_id)
        cost = 0
        if table == RAW_REQUESTS:
            cost = int(rows["cost_pico_usd"].cast(pl.Int128).sum() or 0)
        measures = {"rows": rows.height, "events": rows.height, "cost_pico_usd": cost}
        self._records.write(run_id, table, span, measures)

    def outcome(self, batch: FinishedBatch) -> Outcome:
        """Make the rows of a batch again from its records; raises as `run`."""
        intent = self._ledger.intent(batch.log, batch.start)
        if intent is None or intent.end != batch.end:
            raise WrongData(f"{batch}: the ledger does not say how its rows were made")
        records = asyncio.run(self._read(intent))
        cards = load_cards(self._store, intent.price_version)
        refused = known_refused_rows(self._store, intent)
        voided = voided_ids(self._store, intent.void_revision)
        outcome = process(records, intent, cards, self._log.hash_user, voided).without(refused)
        if outcome.events != batch.events:
            raise WrongData(
                f"{batch}: its records in Kafka make {outcome.events} rows, and it had "
                f"{batch.events}: they are not all there any more; restore its rows from a backup"
            )
        return outcome

    async def _read(self, intent: Intent) -> list[Record]:
        log, bootstrap = intent.log, self._log.bootstrap
        topic_id = await topic_log_id(bootstrap, log.topic)
        log_id = log_ids({log.topic: topic_id}, self._log.restarted_logs)[log.topic]
        held = (await offset_ranges(bootstrap, log.topic)).get(log.partition)
        is_held = held is not None and held.start <= intent.start and intent.end <= held.end
        if log_id != log.log_id or not is_held:
            raise WrongData(
                f"{_place(log)} [{intent.start}, {intent.end}): Kafka does not have these records "
                "any more; restore their rows from a backup, or repair a range without them "
                "(--from, --to)"
            )
        found: list[Record] = []

        def take(_start: int, message: Any) -> None:
            stamp_s = None if message.timestamp is None else message.timestamp / 1000
            found.append(
                Record(log.partition, message.offset, record_ms(stamp_s), message.value or b"")
            )

        spans = {log.partition: [(intent.start, intent.end)]}
        await read_spans(bootstrap, log.topic, spans, take)
        return found

    def _lacking(self, batch: FinishedBatch, outcome: Outcome) -> dict[str, pl.DataFrame]:
        log = batch.log
        stored = self._store.select(
            "repair/row_places",
            {"log_id": log.log_id, "topic": log.topic, "partition": log.partition,
             "start": batch.start, "end": batch.end},
        )  # fmt: skip
        places = pl.DataFrame(
            [(row["raw_table"], row["offset"], row["idx"]) for row in stored],
            schema={"raw_table": pl.String, "_offset": pl.Int64, "_idx": pl.Int32},
            orient="row",
        )
        lacking = {
            table: rows.join(
                places.filter(pl.col("raw_table") == table),
                on=["_offset", "_idx"],
                how="anti",
                maintain_order="left",
            )
            for table, rows in outcome.raw.items()
        }
        return {table: rows for table, rows in lacking.items() if rows.height}


def _place(log: LogPartition) -> str:
    return f"{log.topic}/{log.partition}"
