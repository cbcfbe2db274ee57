"""What to do when the store may have forgotten the tokens of a batch: look before inserting.

Tokens are remembered for a number of inserts. A batch taken up again later than that (a worker that
was frozen, a partition that rested for hours) is checked against the rows that are there: only
missing rows are inserted, and where that is unknown, nothing is inserted until it is known.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent, is_stale
from tokentide_jobs.core.outcome.batch_inserts import Insert
from tokentide_jobs.core.tables import DELTA_TABLES, SUBJECTS_S, WINDOW_S, WINDOWS
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore

__all__ = ["StaleGuard"]


class StaleGuard:
    """Decides what of a batch is still to be inserted. Asks the store only for stale intents.

    Args:
        store: Where the rows are.
        ledger: Knows whether another worker has finished the batch.
        clock_us: Epoch microseconds, on about the same clock as those who seal.
        token_window_us: How long tokens are trusted.
    """

    def __init__(
        self,
        store: ClickHouse,
        ledger: LedgerStore,
        clock_us: Callable[[], int],
        token_window_us: int,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._clock_us = clock_us
        self._token_window_us = token_window_us

    def is_done(self, intent: Intent) -> bool:
        """Tell whether a stale batch is finished already; a fresh one is protected by its token."""
        return self._is_stale(intent) and self._ledger.done_end(intent) >= intent.end

    def missing(self, insert: Insert, intent: Intent, *, look: bool = False) -> pa.Table:
        """Return the rows of an insert that are not in its table yet: all of them when fresh.

        Args:
            insert: Rows and where they go.
            intent: Of their batch.
            look: Rows of it may be there under another token, however fresh the batch is.

        Raises:
            RetriableSinkError: It is not known for now.
        """
        if not (look or self._is_stale(intent)):
            return insert.rows
        if insert.table in DELTA_TABLES:
            return insert.rows.slice(0, 0 if self._are_counted(insert, intent) else None)
        return self._not_there(insert.table, insert.rows, intent)

    def _not_there(self, table: str, rows: pa.Table, intent: Intent) -> pa.Table:
        """Look for every row: an insert is atomic per day of event time, not as a whole.

        A row that was taken out since is not missing.
        """
        stored = self._store.select(
            "ingest/stored_places",
            {
                "raw_table": table,
                "log_id": intent.log.log_id,
                "topic": intent.log.topic,
                "partition": intent.log.partition,
                "start": intent.start,
                "end": intent.end,
            },
        )
        there = {(int(row["offset"]), int(row["idx"])) for row in stored}
        offsets, indexes = rows.column("_offset").to_pylist(), rows.column("_idx").to_pylist()
        is_missing = [place not in there for place in zip(offsets, indexes, strict=True)]
        return rows.filter(pa.array(is_missing))

    def _are_counted(self, insert: Insert, intent: Intent) -> bool:
        """Tell whether the deltas of a stale batch were inserted; its raw rows are in by now.

        Deltas carry no offsets, so the sums decide: in the time that this batch touches, all raw
        rows and all that is counted of them differ by nothing, or by exactly this batch.

        Raises:
            RetriableSinkError: They differ by something else: another batch is under way there.
                Asked again later, the answer becomes clear.
        """
        if self._ledger.done_end(intent) >= intent.end:
            return True
        if insert.table == WINDOWS:
            own, surplus = self._beyond_windows(insert.rows)
        else:
            own, surplus = self._beyond_subjects(insert.rows)
        if surplus in (0, own):
            return surplus == 0
        raise RetriableSinkError(
            f"{insert.token}: {surplus} raw rows are not counted there yet, "
            f"{own} of them may be of this batch: waiting for the others"
        )

    def _beyond_windows(self, deltas: pa.Table) -> tuple[int, int]:
        """Return the events of some deltas, and the raw rows of their windows not counted yet."""
        starts = deltas.column("window_start").cast(pa.int64()).unique().to_pylist()
        (row,) = self._store.select(
            "ingest/uncounted_rows", {"length_s": WINDOW_S, "starts_s": starts}
        )
        return sum(deltas.column("events").to_pylist()), int(row["uncounted"])

    def _beyond_subjects(self, deltas: pa.Table) -> tuple[int, int]:
        """Return the same of the requests under one kind of subject, that of the first row."""
        kinds = deltas.column("kind").to_pylist()
        starts = deltas.column("window_start").cast(pa.int64()).to_pylist()
        requests = deltas.column("requests").to_pylist()
        rows = zip(kinds, starts, requests, strict=True)
        of_kind = [(start, count) for kind, start, count in rows if kind == kinds[0]]
        hours = sorted({start // SUBJECTS_S * SUBJECTS_S for start, _count in of_kind})
        (row,) = self._store.select("ingest/uncounted_requests", {"kind": kinds[0], "hours": hours})
        return sum(count for _start, count in of_kind), int(row["uncounted"])

    def _is_stale(self, intent: Intent) -> bool:
        return is_stale(intent, self._clock_us(), self._token_window_us)
