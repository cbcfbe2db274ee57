"""What repricing reads and writes in ClickHouse: runs, chunks, corrections, rows, windows.

Each method is one step that may be repeated: inserts carry tokens or look first, the rewriting of
raw rows sets values that do not depend on the old ones.
"""

# ruff: noqa: S608 -- names are validated or made here; every value is a parameter or a number
from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.price.pricing import PRICE_COLUMNS
from tokentide_jobs.core.reprice.corrections import CORRECTION_COLUMNS
from tokentide_jobs.core.tables import DAY_US, WINDOW_US
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.stored_requests import COORDINATES, PRICED_FIELDS

__all__ = ["APPLIED", "CORRECTED", "DONE", "PLANNED", "Chunk", "RepriceStore", "Run"]

PLANNED, CORRECTED, APPLIED, DONE = 0, 1, 2, 3
"""States of a chunk, in order."""


@dataclass(frozen=True, slots=True)
class Run:
    """One repricing of requests that started in [from_us, to_us)."""

    run_id: str
    from_us: int
    to_us: int
    price_version: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of one day of a run, whole windows: [from_us, to_us)."""

    number: int
    state: int
    from_us: int
    to_us: int
    rows: int


class RepriceStore:
    """The tables of repricing. Raises as `ClickHouse` does; keeps no state.

    Args:
        store: Where everything is; give it a long timeout, rewriting a day takes seconds.
        worker: `host:pid`, for the run's rows.
    """

    def __init__(self, store: ClickHouse, worker: str) -> None:
        self._store = store
        self._worker = worker
        self._db = f"`{store.database}`"

    def check(self) -> None:
        """Make sure that raw rows can be rewritten here.

        Raises:
            ConfigError: The tables are replicated or missing.
        """
        rows = self._store.rows(
            "SELECT engine FROM system.tables "
            "WHERE database = {database:String} AND name = 'raw_requests'",
            {"database": self._store.database},
        )
        if not rows:
            raise ConfigError(
                f"no table {self._store.database}.raw_requests: run `tokentide migrate`"
            )
        if str(rows[0][0]).startswith(("Replicated", "Shared")):
            raise ConfigError(
                f"{self._store.database}.raw_requests is {rows[0][0]}: reprice rewrites rows by a"
                " lookup table that only one server has; it supports single-node tables"
            )

    def unfinished(self) -> list[Run]:
        """Return runs that were planned and not finished, the oldest first."""
        rows = self._store.rows(
            "SELECT run_id, any(from_us), any(to_us), any(price_version), any(chunks), "
            f"min(written_at) AS first FROM {self._db}.reprice_runs GROUP BY run_id "
            "HAVING countIf(state = 'done') = 0 ORDER BY first, run_id"
        )
        return [Run(str(r[0]), int(r[1]), int(r[2]), str(r[3]), int(r[4])) for r in rows]

    def spans(
        self, from_us: int, to_us: int, version: str, most: int
    ) -> list[tuple[int, int, int]]:
        """Cut [from_us, to_us) into (from, to, rows) of whole windows within a day.

        Only spans with rows of other versions are returned; each has at most `most` of them unless
        a single window has more.
        """
        counted = self._store.rows(
            "SELECT intDiv(toUnixTimestamp64Micro(started_at), {window:Int64}) AS w, count() "
            f"FROM {self._db}.raw_requests WHERE {_between(from_us, to_us)} "
            "AND price_version != {version:String} GROUP BY w ORDER BY w",
            {"window": WINDOW_US, "version": version},
        )
        spans: list[tuple[int, int, int]] = []
        for window, count in counted:
            start = max(int(window) * WINDOW_US, from_us)
            end = min((int(window) + 1) * WINDOW_US, to_us)
            if spans:
                first, _, rows = spans[-1]
                if first // DAY_US == start // DAY_US and rows + int(count) <= most:
                    spans[-1] = (first, end, rows + int(count))
                    continue
            spans.append((start, end, int(count)))
        return spans

    def plan(self, run: Run, spans: Sequence[tuple[int, int, int]]) -> None:
        """Write the chunks of a run, then the run: what is planned is complete."""
        count = len(spans)
        chunks = {
            "run_id": [run.run_id] * count,
            "chunk": pa.array(range(count), pa.uint32()),
            "state": pa.array([PLANNED] * count, pa.uint8()),
            "from_us": [span[0] for span in spans],
            "to_us": [span[1] for span in spans],
            "rows": pa.array([span[2] for span in spans], pa.uint64()),
        }
        self._store.insert("reprice_chunks", pa.table(chunks), f"reprice/{run.run_id}/plan")
        self.mark_run(run, "planned")

    def mark_run(self, run: Run, state: str) -> None:
        """Record the state of a run: planned or done."""
        row = {
            "run_id": [run.run_id],
            "state": [state],
            "from_us": [run.from_us],
            "to_us": [run.to_us],
            "price_version": [run.price_version],
            "chunks": pa.array([run.chunks], pa.uint32()),
            "worker": [self._worker],
        }
        self._store.insert("reprice_runs", pa.table(row), f"reprice/{run.run_id}/{state}")

    def chunks(self, run: Run) -> list[Chunk]:
        """Return the chunks of a run as far as they have come."""
        rows = self._store.rows(
            "SELECT chunk, max(state), any(from_us), any(to_us), argMax(rows, state) "
            f"FROM {self._db}.reprice_chunks WHERE run_id = {{run:String}} "
            "GROUP BY chunk ORDER BY chunk",
            {"run": run.run_id},
        )
        return [Chunk(*(int(value) for value in row)) for row in rows]

    def mark(self, run: Run, chunk: Chunk, state: int, rows: int) -> None:
        """Record that a chunk has come to `state`."""
        row = {
            "run_id": [run.run_id],
            "chunk": pa.array([chunk.number], pa.uint32()),
            "state": pa.array([state], pa.uint8()),
            "from_us": [chunk.from_us],
            "to_us": [chunk.to_us],
            "rows": pa.array([rows], pa.uint64()),
        }
        token = f"reprice/{run.run_id}/{chunk.number}/{state}"
        self._store.insert("reprice_chunks", pa.table(row), token)

    def requests(self, from_us: int, to_us: int, version: str) -> pl.DataFrame:
        """Read the requests of other versions in [from_us, to_us), ready for `corrections`."""
        model = "if(response_model = '', request_model, response_model)"
        columns = [
            *COORDINATES,
            "toUnixTimestamp64Micro(started_at) AS started_at_us",
            *PRICED_FIELDS,
            "toJSONString(other_units) AS other_units",
            f"{model} AS model",
            *(name for name in DIMENSIONS if name not in (*PRICED_FIELDS, "model")),
            *PRICE_COLUMNS,
        ]
        return self._frame(
            f"SELECT {', '.join(columns)} FROM {self._db}.raw_requests "
            f"WHERE {_between(from_us, to_us)} AND price_version != {{version:String}} "
            f"ORDER BY {', '.join(COORDINATES)} LIMIT 1 BY {', '.join(COORDINATES)}",
            {"version": version},
        )

    def write_corrections(self, run: Run, chunk: Chunk, corrected: pl.DataFrame) -> None:
        """Store the corrections of a chunk, once."""
        rows = corrected.with_columns(
            pl.lit(run.run_id).alias("run_id"),
            pl.lit(chunk.number, dtype=pl.UInt32).alias("chunk"),
        )
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        token = f"reprice/{run.run_id}/{chunk.number}/corrections"
        self._store.insert("price_corrections", table, token)

    def corrections(self, run: Run, chunk: Chunk) -> pl.DataFrame:
        """Read the stored corrections of a chunk."""
        return self._frame(
            f"SELECT {', '.join(CORRECTION_COLUMNS)} FROM {self._db}.price_corrections "
            "WHERE run_id = {run:String} AND chunk = {chunk:UInt32} "
            f"ORDER BY {', '.join(COORDINATES)} LIMIT 1 BY {', '.join(COORDINATES)}",
            {"run": run.run_id, "chunk": chunk.number},
        )

    def apply(self, run: Run, chunk: Chunk) -> None:
        """Set the prices of the raw rows to the corrections and wait until it is done.

        A lookup table of this attempt's own holds the new values: a rewriting that another
        attempt left running goes on beside it with its own, and both write the same.
        """
        name = f"reprice_{run.run_id}_{chunk.number}_{secrets.token_hex(4)}"
        lookup = f"{self._db}.`{name}`"
        texts = PRICE_COLUMNS[6:]
        columns = ["log_id String", "_topic String", "_partition Int32", "_offset Int64"]
        columns += ["_idx Int32", "found UInt8"]
        columns += [f"{column} Nullable(Int64)" for column in PRICE_COLUMNS[:6]]
        columns += [f"{column} String" for column in texts]
        key = ", ".join(COORDINATES)
        self._store.command(
            f"CREATE TABLE {lookup} ({', '.join(columns)}) ENGINE = Join(ANY, LEFT, {key}) "
            "COMMENT 'Values of a running reprice; dropped when it is done'"
        )
        self._store.command(
            f"INSERT INTO {lookup} SELECT {key}, 1, {', '.join(PRICE_COLUMNS)} "
            f"FROM {self._db}.price_corrections "
            f"WHERE run_id = '{run.run_id}' AND chunk = {chunk.number}"
        )
        where = "toString(log_id), toString(_topic), _partition, _offset, _idx"
        get = f"joinGet('{self._store.database}.{name}', '%s', {where})"
        updates = ", ".join(f"{column} = {get % column}" for column in PRICE_COLUMNS)
        self._store.command(
            f"ALTER TABLE {self._db}.raw_requests UPDATE {updates} "
            f"WHERE {_between(chunk.from_us, chunk.to_us)} "
            f"AND price_version != '{run.price_version}' AND {get % 'found'} = 1 "
            "SETTINGS mutations_sync = 1"
        )
        self._store.command(f"DROP TABLE {lookup} SYNC")

    def insert_deltas(self, run: Run, chunk: Chunk, deltas: pl.DataFrame) -> None:
        """Add window corrections to windows_10s, and by its views to every rollup."""
        if deltas.height:
            token = f"reprice/{run.run_id}/{chunk.number}/windows_10s"
            self._store.insert("windows_10s", to_arrow("windows_10s", deltas), token)

    def day_gap(self, chunk: Chunk) -> tuple[int, int]:
        """Return raw rows less windows of a chunk's day: (pico-USD, requests without a cost)."""
        start = chunk.from_us // DAY_US * DAY_US
        raw = "sum(toInt128(ifNull(cost_pico_usd, 0))), toInt64(countIf(cost_pico_usd IS NULL))"
        window = f"window_start = toDateTime({start // 1_000_000}, 'UTC')"
        rows = self._store.rows(
            "SELECT toString(r.1 - w.1), r.2 - w.2 FROM (SELECT "
            f"(SELECT ({raw}) FROM {self._db}.raw_requests "
            f"WHERE {_between(start, start + DAY_US)}) AS r, "
            "(SELECT (sum(cost_pico_usd), toInt64(sum(unpriced))) "
            f"FROM {self._db}.windows_1d WHERE {window}) AS w)"
        )
        return int(rows[0][0]), int(rows[0][1])

    def drop_lookups(self, run: Run) -> None:
        """Drop lookup tables that interrupted attempts of a run left, unless still in use."""
        rows = self._store.rows(
            "SELECT name FROM system.tables WHERE database = {database:String} "
            "AND startsWith(name, {prefix:String}) AND name NOT IN ("
            "SELECT extract(command, {pattern:String}) FROM system.mutations WHERE is_done = 0)",
            {
                "database": self._store.database,
                "prefix": f"reprice_{run.run_id}_",
                "pattern": r"(reprice_[0-9a-f]+_\d+_[0-9a-f]+)",
            },
        )
        for (name,) in rows:
            self._store.command(f"DROP TABLE IF EXISTS {self._db}.`{name}` SYNC")

    def _frame(self, query: str, parameters: dict[str, Any]) -> pl.DataFrame:
        """Run a query; texts come as plain strings, integers as Int64."""
        frame = cast(pl.DataFrame, pl.from_arrow(self._store.arrow(query, parameters)))
        return frame.with_columns(
            pl.col(name).cast(pl.String)
            for name, dtype in frame.schema.items()
            if not dtype.is_numeric()
        )


def _between(from_us: int, to_us: int) -> str:
    return (
        f"started_at >= fromUnixTimestamp64Micro(toInt64({int(from_us)}), 'UTC') "
        f"AND started_at < fromUnixTimestamp64Micro(toInt64({int(to_us)}), 'UTC')"
    )
