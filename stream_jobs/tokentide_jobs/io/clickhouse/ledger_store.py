"""The ledger in ClickHouse: intents that the first writer wins, and batches that are done.

ClickHouse is the compare-and-swap: an intent is inserted under a token that names its start alone,
so a rival's insert is dropped, and all workers read the same winner back.
"""

# ruff: noqa: S608 -- the database name is validated by the settings; every value is a parameter
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Claim, Intent, LogPartition
from tokentide_jobs.core.tables import INTENTS, POSITIONS
from tokentide_jobs.core.window.subject_kinds import kinds_of, kinds_text
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["DoneBatch", "LedgerStore"]

_INTENT_COLUMNS = (
    "start_offset, end_offset, price_version, accepted_from_us, accepted_until_us, "
    "sealed_at_us, worker, subject_kinds, max_subjects, void_revision"
)
_OF_PARTITION = "log_id = {log_id:String} AND topic = {topic:String} AND partition = {part:Int32}"
# A replica that lags must not answer for the ledger, where the server can tell that it does.
_CONSISTENT = " SETTINGS select_sequential_consistency = 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneBatch:
    """One finished batch: the row of `ingest_positions`, by the names of its columns."""

    records: int
    bytes: int
    events: int
    requests: int
    evaluations: int
    feedback: int
    changes: int
    stats: int
    dead_letters: int
    window_deltas: int
    cost_pico_usd: int
    adopted: bool
    first_record_ms: int
    last_record_ms: int
    first_started_at_us: int
    last_started_at_us: int
    compute_ms: float
    insert_ms: float
    retries: int
    done_at_us: int


class LedgerStore:
    """Reads and writes the ledger of every log. Nothing here retries."""

    def __init__(self, store: ClickHouse) -> None:
        self._store = store

    def check(self) -> None:
        """Return when the ledger's tables are there; raises as any query does when not."""
        for name in (INTENTS, POSITIONS):
            self._store.rows(f"SELECT 1 FROM {self._table(name)} LIMIT 1")

    def position(self, log: LogPartition) -> tuple[int | None, Intent | None]:
        """Return the end of the last done batch and the open intent that begins there."""
        order = "log_id DESC, topic DESC, partition DESC, start_offset DESC"
        rows = self._rows(
            f"SELECT end_offset FROM {self._table(POSITIONS)} WHERE {_OF_PARTITION} "
            f"ORDER BY {order} LIMIT 1",
            _parameters(log),
        )
        done_end = int(rows[0][0]) if rows else None
        return done_end, self.intent(log, done_end or 0)

    def positions(self, log_id: str, topic: str) -> dict[int, int]:
        """Return how far each partition of a log is done (exclusive)."""
        rows = self._rows(
            f"SELECT partition, max(end_offset) FROM {self._table(POSITIONS)} "
            "WHERE log_id = {log_id:String} AND topic = {topic:String} GROUP BY partition",
            {"log_id": log_id, "topic": topic},
        )
        return {int(partition): int(end) for partition, end in rows}

    def claim(self, intent: Intent, records: int) -> Claim:
        """Store `intent` unless another one exists for its start; return the winner.

        Raises:
            RetriableSinkError: The store failed, or does not show what was just written.
        """
        self._store.insert(INTENTS, _intent_row(intent, records), intent.token)
        rows = self._rows(
            f"SELECT {_INTENT_COLUMNS}, (SELECT max(end_offset) FROM {self._table(POSITIONS)} "
            f"WHERE {_OF_PARTITION} AND start_offset >= {{start:Int64}}) AS done_end "
            f"FROM {self._table(INTENTS)} WHERE {_OF_PARTITION} AND start_offset = {{start:Int64}} "
            f"ORDER BY written_at, sealed_at_us, worker LIMIT 1",
            {**_parameters(intent.log), "start": intent.start},
        )
        if not rows:
            raise RetriableSinkError(f"the intent {intent.token} was written but is not there")
        *columns, done_end = rows[0]
        return Claim(_intent(intent.log, columns), int(done_end))

    def done_end(self, intent: Intent) -> int:
        """End of the last batch done at or after the start of `intent`, 0 when there is none."""
        rows = self._rows(
            f"SELECT max(end_offset) FROM {self._table(POSITIONS)} "
            f"WHERE {_OF_PARTITION} AND start_offset >= {{start:Int64}}",
            {**_parameters(intent.log), "start": intent.start},
        )
        return int(rows[0][0])

    def finish(self, intent: Intent, done: DoneBatch, worker: str) -> None:
        """Record that every row of the batch is stored; this moves the position."""
        values: dict[str, Any] = {
            **_coordinates(intent),
            **{spec.name: getattr(done, spec.name) for spec in fields(done)},
            "price_version": intent.price_version,
            "sealed_at_us": intent.sealed_at_us,
            "worker": worker,
        }
        self._store.insert(POSITIONS, _one_row(values), intent.write_token(POSITIONS))

    def intent(self, log: LogPartition, start: int) -> Intent | None:
        """Return the winner for the batch that begins at some offset; None: there is none."""
        rows = self._rows(
            f"SELECT {_INTENT_COLUMNS} FROM {self._table(INTENTS)} "
            f"WHERE {_OF_PARTITION} AND start_offset = {{start:Int64}} "
            f"ORDER BY written_at, sealed_at_us, worker LIMIT 1",
            {**_parameters(log), "start": start},
        )
        return _intent(log, rows[0]) if rows else None

    def _rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        return self._store.rows(query + _CONSISTENT, parameters)

    def _table(self, name: str) -> str:
        return f"`{self._store.database}`.`{name}`"


def _parameters(log: LogPartition) -> dict[str, Any]:
    return {"log_id": log.log_id, "topic": log.topic, "part": log.partition}


def _coordinates(intent: Intent) -> dict[str, Any]:
    return {
        "log_id": intent.log.log_id,
        "topic": intent.log.topic,
        "partition": intent.log.partition,
        "start_offset": intent.start,
        "end_offset": intent.end,
    }


def _intent_row(intent: Intent, records: int) -> pa.Table:
    return _one_row(
        {
            **_coordinates(intent),
            "records": records,
            "price_version": intent.price_version,
            "accepted_from_us": intent.accepted_from_us,
            "accepted_until_us": intent.accepted_until_us,
            "sealed_at_us": intent.sealed_at_us,
            "worker": intent.worker,
            "subject_kinds": kinds_text(intent.subject_kinds),
            "max_subjects": intent.max_subjects,
            "void_revision": intent.void_revision,
        }
    )


def _one_row(values: dict[str, Any]) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for name, value in values.items():
        # Int128 travels as Decimal(38, 0); Python's int alone would stop at 64 bits.
        kind = pa.decimal128(38, 0) if name == "cost_pico_usd" else None
        columns[name] = pa.array([value], type=kind)
    return pa.table(columns)


def _intent(log: LogPartition, columns: Iterable[Any]) -> Intent:
    start, end, price_version, from_us, until_us, sealed_at_us, worker, *rest = columns
    kinds, most, void_revision = rest
    return Intent(
        log=log,
        start=int(start),
        end=int(end),
        price_version=str(price_version),
        accepted_from_us=int(from_us),
        accepted_until_us=int(until_us),
        sealed_at_us=int(sealed_at_us),
        worker=str(worker),
        subject_kinds=kinds_of(str(kinds)),
        max_subjects=int(most),
        void_revision=int(void_revision),
    )
