"""What taking events out reads and writes in ClickHouse: decisions, rows, and their places.

Each method is one step that may be repeated: each decision has a number of its own, a row is
written down before it goes, and it goes by its place, so that none goes unwritten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.tables import EVENT_VOIDS, VOIDED_ROWS
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.clickhouse.void_reads import newest_void_revision
from tokentide_jobs.tasks.repair.records import FinishedBatch

__all__ = ["Decision", "Row", "VoidStore"]

_AT_ONCE: Final = 100
"""Rows that one statement deletes: their places are its parameters, and an address is no book."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision that holds on an event: the first that took it out, or the last to let it in."""

    revision: int
    is_out: bool
    reason: str
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One raw row, as far as it is written down: where it is and what amounts it has."""

    event_id: str
    raw_table: str
    started_at_us: int
    log: LogPartition
    offset: int
    idx: int
    tenant: str
    service: str
    environment: str
    provider: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cost_pico_usd: int | None
    price_version: str

    @property
    def place(self) -> str:
        """Its place in the log as one text, as the queries compare it."""
        log = self.log
        return f"{log.log_id} {log.topic} {log.partition} {self.offset} {self.idx}"


class VoidStore:
    """The tables of decisions and of rows that went. Raises as `ClickHouse` does; keeps no state.

    Args:
        store: Where everything is; give it a long timeout, to delete a row rewrites its part.
        decided_by: Who decides: account and host.
        run_id: Names this invocation of the command.
    """

    def __init__(self, store: ClickHouse, decided_by: str, run_id: str) -> None:
        self._store = store
        self._decided_by = decided_by
        self._run_id = run_id
        self._ledger = LedgerStore(store)

    def decisions(self, ids: Sequence[str]) -> dict[str, Decision]:
        """Return the decision that holds on each event that has one."""
        rows = self._store.select("void/decisions", {"ids": list(ids)})
        return {
            str(row["id"]): Decision(
                int(row["revision"]),
                bool(row["is_out"]),
                str(row["why"]),
                str(row["who"]),
                row["decided_at"],
            )
            for row in rows
        }

    def rows(self, ids: Sequence[str]) -> list[Row]:
        """Return the raw rows of events, in order of event and place."""
        return self._rows("void/rows", ids)

    def recorded(self, ids: Sequence[str]) -> list[Row]:
        """Return the rows that are written down under the decision that holds now."""
        return self._rows("void/recorded", ids)

    def ever_recorded(self, ids: Sequence[str]) -> list[Row]:
        """Return the rows that were ever taken out, also when they were let in again since."""
        return self._rows("void/places", ids)

    def decide(self, tenants: Mapping[str, str], reason: str, *, is_void: bool) -> int:
        """Store a decision and return its number; of two at once each gets one of its own.

        Args:
            tenants: Of each event that is decided on, by its id.
            reason: Why.
            is_void: They are taken out; else let in again.

        Raises:
            RetriableSinkError: The store failed, or does not show what was just written.
        """
        ids = sorted(tenants)
        while True:
            revision = newest_void_revision(self._store) + 1
            count = len(ids)
            columns = {
                "revision": pa.array([revision] * count, pa.uint32()),
                "event_id": ids,
                "tenant": [tenants[event_id] for event_id in ids],
                "is_void": [is_void] * count,
                "reason": [reason] * count,
                "decided_by": [self._decided_by] * count,
                "run_id": [self._run_id] * count,
            }
            self._store.insert(EVENT_VOIDS, pa.table(columns), f"void/{revision}")
            winners = self._store.select("void/winner", {"revision": revision})
            if not winners:
                raise RetriableSinkError(f"decision {revision} was written but is not there")
            if winners[0]["run_id"] == self._run_id:
                return revision

    def record(self, table: str, revision: int, rows: Sequence[Row]) -> None:
        """Write rows of one table down as taken out by a decision; the same rows count once."""
        places = "\n".join(sorted(row.place for row in rows))
        digest = hashlib.sha256(places.encode()).hexdigest()[:32]
        count = len(rows)
        columns = {
            "revision": pa.array([revision] * count, pa.uint32()),
            "event_id": [row.event_id for row in rows],
            "raw_table": [table] * count,
            "started_at": pa.array([row.started_at_us for row in rows], pa.timestamp("us", "UTC")),
            **{
                name: [getattr(row, name) for row in rows]
                for name in ("tenant", "service", "environment", "provider", "model")
            },
            "input_tokens": pa.array([row.input_tokens for row in rows], pa.uint64()),
            "output_tokens": pa.array([row.output_tokens for row in rows], pa.uint64()),
            "cost_pico_usd": pa.array([row.cost_pico_usd for row in rows], pa.int64()),
            "price_version": [row.price_version for row in rows],
            "log_id": [row.log.log_id for row in rows],
            "_topic": [row.log.topic for row in rows],
            "_partition": pa.array([row.log.partition for row in rows], pa.int32()),
            "_offset": pa.array([row.offset for row in rows], pa.int64()),
            "_idx": pa.array([row.idx for row in rows], pa.int32()),
        }
        token = f"{VOIDED_ROWS}/{table}/{revision}/{digest}"
        self._store.insert(VOIDED_ROWS, pa.table(columns), token)

    def delete(self, table: str, rows: Sequence[Row]) -> None:
        """Take rows out of a table, by their places, and wait until they are gone."""
        by_time = sorted(rows, key=lambda row: row.started_at_us)
        for first in range(0, len(by_time), _AT_ONCE):
            some = by_time[first : first + _AT_ONCE]
            self._store.run(
                "void/delete",
                {
                    "ids": sorted({row.event_id for row in some}),
                    "from_us": some[0].started_at_us,
                    "to_us": some[-1].started_at_us + 1,
                    "places": [row.place for row in some],
                },
                {"table": table},
            )

    def older_batches(self, revision: int) -> list[str]:
        """Return batches that are begun, not done, and were made without knowing a decision."""
        return [
            f"{row['topic']}/{row['partition']} [{row['start']}, {row['end']})"
            for row in self._store.select("void/older_batches", {"revision": revision})
        ]

    def finished_end(self, log: LogPartition) -> int:
        """Return the offset before which every batch of a partition is finished."""
        return self._ledger.positions(log.log_id, log.topic).get(log.partition, 0)

    def batches(self, rows: Iterable[Row]) -> Iterator[FinishedBatch]:
        """Yield the finished batches that hold the places of rows, each once."""
        seen: list[FinishedBatch] = []
        for row in rows:
            if any(one.log == row.log and one.start <= row.offset < one.end for one in seen):
                continue
            log = row.log
            found = self._store.select(
                "void/batch",
                {"log_id": log.log_id, "topic": log.topic, "partition": log.partition,
                 "offset": row.offset},
            )  # fmt: skip
            for one in found:
                seen.append(
                    FinishedBatch(
                        log=log,
                        start=int(one["start"]),
                        end=int(one["end"]),
                        events=int(one["events"]),
                        first_us=int(one["first_us"]),
                        last_us=int(one["last_us"]),
                    )
                )
                yield seen[-1]

    def _rows(self, query: str, ids: Sequence[str]) -> list[Row]:
        return [_row(row) for row in self._store.select(query, {"ids": list(ids)})]


def _row(row: Mapping[str, Any]) -> Row:
    log = LogPartition(str(row["log_id"]), str(row["_topic"]), int(row["_partition"]))
    return Row(
        event_id=str(row["id"]),
        raw_table=str(row["raw_table"]),
        started_at_us=int(row["started_at_us"]),
        log=log,
        offset=int(row["_offset"]),
        idx=int(row["_idx"]),
        tenant=str(row["tenant"]),
        service=str(row["service"]),
        environment=str(row["environment"]),
        provider=str(row["provider"]),
        model=str(row["model"]),
        input_tokens=_whole(row["input_tokens"]),
        output_tokens=_whole(row["output_tokens"]),
        cost_pico_usd=_whole(row["cost_pico_usd"]),
        price_version=str(row["price_version"]),
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
