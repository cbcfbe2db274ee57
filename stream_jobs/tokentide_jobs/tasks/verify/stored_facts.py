"""What `verify` reads from ClickHouse: ledger, rows per batch, and windows against raw rows.

The order matters while ingest is running: finished batches are read before rows and intents after
them, because a batch writes its intent first and its ledger row last. So every finished batch seen
has all its rows, and every row seen has its intent.
"""

# ruff: noqa: S608 -- the database name is validated by the settings; every value is a parameter
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.tables import (
    DAY_US,
    RAW_REQUESTS,
    RAW_TABLES,
    ROLLUPS,
    ROWS_KEPT_DAYS,
    WINDOW_S,
    WINDOW_US,
    WINDOWS,
    WINDOWS_KEPT_DAYS,
)
from tokentide_jobs.core.verify.facts import Batch, Intended, Stored, WindowSums
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["Scope", "StoreReader", "WindowSnapshot"]

_SPILLING: Final = "SETTINGS max_bytes_before_external_group_by = 150000000, max_threads = 2"
"""Lets a check of any size run in bounded memory: what does not fit goes to disk."""
_LISTED_WINDOWS: Final = 20
"""Differing windows that are named one by one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is verified: everything, a range of event time, or ranges of offsets.

    Attributes:
        from_us: First event time (epoch µs), None: no bound.
        until_us: End of event time, exclusive.
        offsets: By partition of the events topic as it is now: (start, end); the key None means
            all of them.
    """

    from_us: int | None = None
    until_us: int | None = None
    offsets: Mapping[int | None, tuple[int, int]] | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no bound is set."""
        return self.from_us is None and self.until_us is None and self.offsets is None

    def holds(self, log: LogPartition, batch: _LedgerRow, current: tuple[str, str]) -> bool:
        """Tell whether a batch belongs to the scope; `current` is (log id, topic)."""
        if self.offsets is not None:
            bounds = self.offsets.get(log.partition, self.offsets.get(None))
            if bounds is None or (log.log_id, log.topic) != current:
                return False
            return batch.start < bounds[1] and bounds[0] < batch.end
        until_us = self.until_us if self.until_us is not None else 1 << 62
        return batch.first_us < until_us and batch.last_us >= (self.from_us or 0)


@dataclass(frozen=True, slots=True)
class _LedgerRow:
    start: int
    end: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class WindowSnapshot:
    """Sums over the windows of a scope, those that differ, and the rollups of whole days."""

    total: WindowSums
    differing: tuple[WindowSums, ...]
    differing_count: int
    rollups: Mapping[str, tuple[tuple[int, int], tuple[int, int]]]


class StoreReader:
    """Reads the facts of one verification. Nothing here retries or writes."""

    def __init__(self, store: ClickHouse) -> None:
        self._store = store
        self._db = f"`{store.database}`"

    def batches(self, scope: Scope, current: tuple[str, str], now_us: int) -> list[Batch]:
        """Return the finished batches in scope; those whose rows may have expired are marked."""
        horizon_us = now_us - (self._kept_days() - 1) * DAY_US
        rows = self._store.rows(
            "SELECT log_id, topic, partition, start_offset, end_offset, events, dead_letters, "
            "toString(cost_pico_usd), records, sealed_at_us, first_started_at_us, "
            f"last_started_at_us, price_version FROM {self._db}.ingest_positions "
            "ORDER BY log_id, topic, partition, start_offset, end_offset "
            "LIMIT 1 BY log_id, topic, partition, start_offset, end_offset"
        )
        found: list[Batch] = []
        for row in rows:
            log = LogPartition(str(row[0]), str(row[1]), int(row[2]))
            first_us, last_us = int(row[10]) or int(row[9]), int(row[11]) or int(row[9])
            ledger_row = _LedgerRow(int(row[3]), int(row[4]), first_us, last_us)
            if not scope.holds(log, ledger_row, current):
                continue
            batch = Batch(
                log=log,
                start=ledger_row.start,
                end=ledger_row.end,
                accepted=int(row[5]),
                dead_letters=int(row[6]),
                cost_pico_usd=int(row[7]),
                records=int(row[8]),
                sealed_at_us=int(row[9]),
                first_us=first_us,
                last_us=last_us,
                has_expired=first_us < horizon_us,
            )
            found.append(batch)
        return found

    def stored(
        self, first_us: int, last_us: int
    ) -> tuple[dict[tuple[LogPartition, int], Stored], dict[LogPartition, tuple[int, int, int]]]:
        """Count rows by batch, for events that began in [first_us, last_us].

        Returns:
            Rows by (log, start of batch), and by log those that no finished batch holds: (rows,
            smallest, largest offset).
        """
        where = "started_at BETWEEN fromUnixTimestamp64Micro({first:Int64}, 'UTC') "
        where += "AND fromUnixTimestamp64Micro({last:Int64}, 'UTC')"
        identity = "log_id, _topic, _partition, _offset, _idx"
        sources = [
            f"SELECT {identity}, 0 AS is_dead, "
            + (
                "ifNull(cost_pico_usd, 0) AS cost, price_version AS version "
                if table == RAW_REQUESTS
                else "0 AS cost, '' AS version "
            )
            + f"FROM {self._db}.{table} WHERE {where}"
            for table in RAW_TABLES.values()
        ]
        sources.append(
            f"SELECT {identity}, 1 AS is_dead, 0 AS cost, '' AS version "
            f"FROM {self._db}.dead_letters"
        )
        # One number for the place inside the batch: sets of it take half the memory of pairs.
        place = "bitOr(bitShiftLeft(toUInt64(e._offset - b.start_offset), 24), toUInt64(e._idx))"
        rows = self._store.rows(
            "SELECT e.log_id, e._topic, e._partition, b.start_offset AS start, "
            "e._offset >= b.end_offset AS is_beyond, "
            # Only a batch with dead letters needs a set of its raw rows beside that of all.
            f"countIf(e.is_dead = 0), if(any(b.dead_letters) > 0, uniqExactIf({place}, "
            "e.is_dead = 0 AND b.dead_letters > 0), all_distinct - dead_distinct), "
            f"countIf(e.is_dead = 1), uniqExactIf({place}, e.is_dead = 1) AS dead_distinct, "
            f"uniqExact({place}) AS all_distinct, toString(sum(toInt128(e.cost))), "
            "countIf(e.version != '' AND e.version != b.price_version), "
            "min(e._offset), max(e._offset) "
            f"FROM ({' UNION ALL '.join(sources)}) AS e "
            "ASOF LEFT JOIN (SELECT DISTINCT log_id, topic, partition, start_offset, end_offset, "
            f"dead_letters, price_version FROM {self._db}.ingest_positions) AS b "
            "ON e.log_id = b.log_id AND e._topic = b.topic AND e._partition = b.partition "
            "AND e._offset >= b.start_offset "
            f"GROUP BY e.log_id, e._topic, e._partition, start, is_beyond {_SPILLING}",
            {"first": first_us, "last": last_us},
        )
        stored: dict[tuple[LogPartition, int], Stored] = {}
        beyond: dict[LogPartition, tuple[int, int, int]] = {}
        for row in rows:
            log = LogPartition(str(row[0]), str(row[1]), int(row[2]))
            if row[4]:
                count = int(row[5]) + int(row[7])
                before = beyond.get(log, (0, int(row[12]), int(row[13])))
                low, high = min(before[1], int(row[12])), max(before[2], int(row[13]))
                beyond[log] = (before[0] + count, low, high)
            else:
                stored[log, int(row[3])] = Stored(*(int(value) for value in row[5:12]))
        return stored, beyond

    def intents(self) -> list[Intended]:
        """Return the winning intent of every start."""
        rows = self._store.rows(
            "SELECT log_id, topic, partition, start_offset, end_offset "
            f"FROM {self._db}.ingest_intents "
            "ORDER BY log_id, topic, partition, start_offset, written_at, sealed_at_us, worker "
            "LIMIT 1 BY log_id, topic, partition, start_offset"
        )
        return [
            Intended(LogPartition(str(r[0]), str(r[1]), int(r[2])), int(r[3]), int(r[4]))
            for r in rows
        ]

    def windows(self, from_us: int | None, until_us: int | None, now_us: int) -> WindowSnapshot:
        """Compare raw rows with windows_10s, window by window, and the rollups day by day.

        The bounds are widened to whole windows; days that may have left windows_10s are left out.
        """
        kept_from_us = (now_us // DAY_US - (WINDOWS_KEPT_DAYS - 1)) * DAY_US
        low_us = max(from_us or 0, kept_from_us) // WINDOW_US * WINDOW_US
        high_us = -(-(until_us if until_us is not None else 1 << 52) // WINDOW_US) * WINDOW_US
        bounds = {"low": low_us, "high": high_us}
        rows = self._store.rows(self._windows_query(), bounds)
        *sums, differing_count, differing = rows[0]
        rollups = self._rollups(low_us, high_us) if until_us is None else {}
        return WindowSnapshot(
            _sums(0, sums),
            tuple(_sums(int(window[0]), window[1:]) for window in sorted(differing)),
            int(differing_count),
            rollups,
        )

    def repeated_event_ids(self) -> int:
        """Count rows beyond the first of each event id, over all types."""
        ids = " UNION ALL ".join(
            f"SELECT event_id FROM {self._db}.{t}" for t in RAW_TABLES.values()
        )
        repeated = f"SELECT count() AS n FROM ({ids}) GROUP BY event_id HAVING n > 1"
        return int(self._store.rows(f"SELECT sum(n - 1) FROM ({repeated}) {_SPILLING}")[0][0])

    def _windows_query(self) -> str:
        """Build one query for both sides, so that they are read as close together as possible."""
        micro = "fromUnixTimestamp64Micro({%s:Int64}, 'UTC')"
        raw_in = f"started_at >= {micro % 'low'} AND started_at < {micro % 'high'}"
        window_in = f"window_start >= {micro % 'low'} AND window_start < {micro % 'high'}"
        tokens = "ifNull(input_tokens, 0) + ifNull(output_tokens, 0)"
        sides = [
            f"SELECT intDiv(toUnixTimestamp(started_at), {WINDOW_S}) * {WINDOW_S} AS w, "
            "count() AS re, "
            + (
                f"sum({tokens}) AS rt, sum(toInt128(ifNull(cost_pico_usd, 0))) AS rc, "
                if table == RAW_REQUESTS
                else "toUInt64(0) AS rt, toInt128(0) AS rc, "
            )
            + "toUInt64(0) AS we, toUInt64(0) AS wt, toInt128(0) AS wc "
            f"FROM {self._db}.{table} WHERE {raw_in} GROUP BY w"
            for table in RAW_TABLES.values()
        ]
        sides.append(
            "SELECT toUnixTimestamp(window_start) AS w, toUInt64(0) AS re, toUInt64(0) AS rt, "
            "toInt128(0) AS rc, sum(events) AS we, sum(input_tokens) + sum(output_tokens) AS wt, "
            f"sum(cost_pico_usd) AS wc FROM {self._db}.windows_10s WHERE {window_in} GROUP BY w"
        )
        differs = "re != we OR rt != wt OR rc != wc"
        shown = "(toUInt64(w) * 1000000, re, rt, toString(rc), we, wt, toString(wc))"
        return (
            "SELECT sum(re), sum(rt), toString(sum(rc)), sum(we), sum(wt), toString(sum(wc)), "
            f"countIf({differs}), groupArrayIf({_LISTED_WINDOWS})({shown}, {differs}) FROM ("
            "SELECT w, sum(re) AS re, sum(rt) AS rt, sum(rc) AS rc, "
            "sum(we) AS we, sum(wt) AS wt, sum(wc) AS wc "
            f"FROM ({' UNION ALL '.join(sides)}) GROUP BY w ORDER BY w)"
        )

    def _rollups(
        self, low_us: int, high_us: int
    ) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
        """Compare the rollups with windows_10s over whole days."""
        low_us = -(-low_us // DAY_US) * DAY_US
        where = "window_start >= fromUnixTimestamp64Micro({low:Int64}, 'UTC')"
        where += " AND window_start < fromUnixTimestamp64Micro({high:Int64}, 'UTC')"
        query = " UNION ALL ".join(
            f"SELECT '{table}', sum(events), toString(sum(cost_pico_usd)) "
            f"FROM {self._db}.{table} WHERE {where}"
            for table in (WINDOWS, *ROLLUPS)
        )
        rows = self._store.rows(query, {"low": low_us, "high": high_us})
        sums = {str(row[0]): (int(row[1]), int(row[2])) for row in rows}
        return {table: (sums[WINDOWS], sums[table]) for table in ROLLUPS}

    def _kept_days(self) -> int:
        """Return the shortest retention in force: of the tables, or of any tenant."""
        rows = self._store.rows(
            "SELECT count() FROM system.tables "
            "WHERE database = {database:String} AND name = 'tenant_retention'",
            {"database": self._store.database},
        )
        if not rows[0][0]:
            return ROWS_KEPT_DAYS
        shortest = self._store.rows(
            "SELECT min(kept) FROM (SELECT argMax(days, set_at) AS kept "
            f"FROM {self._db}.tenant_retention GROUP BY tenant) WHERE kept > 0"
        )[0][0]
        return min(ROWS_KEPT_DAYS, int(shortest)) if shortest else ROWS_KEPT_DAYS


def _sums(window_start_us: int, values: Any) -> WindowSums:
    return WindowSums(window_start_us, *(int(value) for value in values))
