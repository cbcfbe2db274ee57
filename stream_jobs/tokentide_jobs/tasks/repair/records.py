"""What repair asks before it begins, and what it writes down: its preconditions and its record."""

# ruff: noqa: S608 -- the database name is validated by the settings; every value is a parameter
from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tokentide_jobs.core.tables import (
    HOLDS,
    POSITIONS,
    RAW_TABLES,
    REPRICE_RUNS,
    ROWS_KEPT_DAYS,
    TENANT_RETENTION,
    WINDOW_REPAIRS,
)
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.repair.sums import Span

__all__ = ["RepairRecords"]

_NAMED_BATCHES = 3


class RepairRecords:
    """Preconditions and records of repairs in one database.

    Args:
        store: Where everything is.
        worker: `host:pid`, for the records.
    """

    def __init__(self, store: ClickHouse, worker: str) -> None:
        self._store = store
        self._worker = worker
        self._db = f"`{store.database}`"

    def check(self) -> None:
        """Refuse to begin where repair cannot work.

        Raises:
            ConfigError: Its tables are missing, or a repricing is unfinished.
        """
        rows = self._store.rows(
            "SELECT count() FROM system.tables "
            "WHERE database = {database:String} AND name IN ({holds:String}, {repairs:String})",
            {"database": self._store.database, "holds": HOLDS, "repairs": WINDOW_REPAIRS},
        )
        if int(rows[0][0]) < 2:
            raise ConfigError(
                f"{self._store.database} has no tables for repairs: run `tokentide migrate`"
            )
        unfinished = self._store.rows(
            f"SELECT run_id FROM {self._db}.{REPRICE_RUNS} GROUP BY run_id "
            "HAVING countIf(state = 'done') = 0 LIMIT 1"
        )
        if unfinished:
            raise ConfigError(
                f"repricing {unfinished[0][0]} is unfinished, and its rows and windows differ for "
                "that: finish it with `tokentide reprice`, then repair"
            )

    def rows_kept_days(self) -> int:
        """Return for how many days no raw row may have expired: of any table, for any tenant."""
        shortest = self._store.rows(
            "SELECT min(kept) FROM (SELECT argMax(days, set_at) AS kept "
            f"FROM {self._db}.{TENANT_RETENTION} GROUP BY tenant) WHERE kept > 0"
        )[0][0]
        return min(ROWS_KEPT_DAYS, int(shortest)) if shortest else ROWS_KEPT_DAYS

    def check_rows(self, from_us: int, to_us: int) -> None:
        """Count the raw rows of every finished batch with events in [from, to).

        Raises:
            ConfigError: A batch has lost rows, or has some twice; windows may be all that is right.
        """
        batches = (
            "SELECT log_id, topic, partition, start_offset, end_offset, events "
            f"FROM {self._db}.{POSITIONS} WHERE events > 0 "
            "AND first_started_at_us < {high:Int64} AND last_started_at_us >= {low:Int64} "
            "LIMIT 1 BY log_id, topic, partition, start_offset"
        )
        bounds = self._store.rows(
            "SELECT min(first_started_at_us), max(last_started_at_us) "
            f"FROM {self._db}.{POSITIONS} WHERE events > 0 "
            "AND first_started_at_us < {high:Int64} AND last_started_at_us >= {low:Int64}",
            {"low": from_us, "high": to_us},
        )[0]
        sources = " UNION ALL ".join(
            f"SELECT log_id, _topic, _partition, _offset FROM {self._db}.{table} "
            "WHERE started_at >= fromUnixTimestamp64Micro({first:Int64}, 'UTC') "
            "AND started_at <= fromUnixTimestamp64Micro({last:Int64}, 'UTC')"
            for table in RAW_TABLES.values()
        )
        wrong = self._store.rows(
            "SELECT b.topic, b.partition, b.start_offset, b.end_offset, b.events, found "
            f"FROM ({batches}) AS b LEFT JOIN ("
            "SELECT s.log_id AS log_id, s.topic AS topic, s.partition AS partition, "
            "s.start_offset AS start_offset, count() AS found "
            f"FROM ({sources}) AS e ASOF JOIN ({batches}) AS s ON e.log_id = s.log_id "
            "AND e._topic = s.topic AND e._partition = s.partition "
            "AND e._offset >= s.start_offset WHERE e._offset < s.end_offset "
            "GROUP BY log_id, topic, partition, start_offset) AS f "
            "ON b.log_id = f.log_id AND b.topic = f.topic AND b.partition = f.partition "
            "AND b.start_offset = f.start_offset WHERE b.events != found "
            "ORDER BY b.topic, b.partition, b.start_offset",
            {"low": from_us, "high": to_us, "first": int(bounds[0]), "last": int(bounds[1])},
        )
        if wrong:
            named = ", ".join(
                f"{row[0]}/{row[1]} [{row[2]}, {row[3]}): {row[5]} of {row[4]} rows"
                for row in wrong[:_NAMED_BATCHES]
            )
            raise ConfigError(
                f"{len(wrong)} batches do not have their raw rows ({named}): windows made from "
                "them would be wrong too. `tokentide verify` names them all; restore the raw rows "
                "first, or repair a range without them (--from, --to)"
            )

    def refuse_finer(self, table: str, asked: Sequence[str]) -> None:
        """Refuse to make coarse windows from finer ones that are wrong themselves.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"{table} is wrong too, and {', '.join(asked)} would be made from it: repair it as "
            "well, or leave out --table"
        )

    def corrections(self, table: str, span: Span) -> int:
        """Return how many corrections of a table are written down that touch a span."""
        rows = self._store.rows(
            f"SELECT count() FROM {self._db}.{WINDOW_REPAIRS} WHERE table = {{table:String}} "
            "AND from_us < {high:Int64} AND to_us > {low:Int64}",
            {"table": table, "low": span.from_us, "high": span.to_us},
        )
        return int(rows[0][0])

    def write(self, run_id: str, table: str, span: Span, measures: Mapping[str, int]) -> None:
        """Write down one correction."""
        row = {
            "run_id": [run_id],
            "table": [table],
            "from_us": [span.from_us],
            "to_us": [span.to_us],
            "rows": pa.array([measures["rows"]], pa.uint64()),
            "events": [measures["events"]],
            "cost_pico_usd": pa.array([measures["cost_pico_usd"]], pa.decimal128(38, 0)),
            "worker": [self._worker],
        }
        token = f"repair/{run_id}/{table}/{span.from_us}"
        self._store.insert(WINDOW_REPAIRS, pa.table(row), token)
