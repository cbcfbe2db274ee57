"""What repricing reads and writes in ClickHouse: runs, chunks, corrections, rows, windows.

Each method is one step that may be repeated: inserts carry tokens or look first, the rewriting of
raw rows sets values that do not depend on the old ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.tables import (
    DAY_US,
    PRICE_CORRECTIONS,
    RAW_REQUESTS,
    REPRICE_CHUNKS,
    REPRICE_RUNS,
    SUBJECTS,
    WINDOW_US,
    WINDOWS,
)
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["APPLIED", "CORRECTED", "DONE", "PLANNED", "Chunk", "RepriceStore", "Run"]

PLANNED, CORRECTED, APPLIED, DONE = 0, 1, 2, 3
"""States of a chunk, in order."""


_GAPS: Final = {WINDOWS: "reprice/day_gap", SUBJECTS: "reprice/subject_gap"}


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

    def check(self) -> None:
        """Make sure that raw rows can be rewritten here.

        Raises:
            ConfigError: The tables are replicated or missing.
        """
        rows = self._store.select("reprice/table_engine")
        table = f"{self._store.database}.{RAW_REQUESTS}"
        if not rows:
            raise ConfigError(f"no table {table}: run `tokentide migrate`")
        engine = str(rows[0]["engine"])
        if engine.startswith(("Replicated", "Shared")):
            raise ConfigError(
                f"{table} is {engine}: reprice rewrites rows by a lookup table that only one server"
                " has; it supports single-node tables"
            )

    def unfinished(self) -> list[Run]:
        """Return runs that were planned and not finished, the oldest first."""
        return [Run(**row) for row in self._store.select("reprice/unfinished_runs")]

    def spans(
        self, from_us: int, to_us: int, version: str, most: int
    ) -> list[tuple[int, int, int]]:
        """Cut [from_us, to_us) into (from, to, rows) of whole windows within a day.

        Only spans with rows of other versions are returned; each has at most `most` of them unless
        a single window has more.
        """
        bounds = {"from_us": from_us, "to_us": to_us, "price_version": version}
        counted = self._store.select(
            "reprice/requests_by_window", {**bounds, "window_us": WINDOW_US}
        )
        spans: list[tuple[int, int, int]] = []
        for row in counted:
            window_us, count = row["window_start_us"], row["requests"]
            start, end = max(window_us, from_us), min(window_us + WINDOW_US, to_us)
            if spans:
                first, _, rows = spans[-1]
                if first // DAY_US == start // DAY_US and rows + count <= most:
                    spans[-1] = (first, end, rows + count)
                    continue
            spans.append((start, end, count))
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
        self._store.insert(REPRICE_CHUNKS, pa.table(chunks), f"reprice/{run.run_id}/plan")
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
        self._store.insert(REPRICE_RUNS, pa.table(row), f"reprice/{run.run_id}/{state}")

    def chunks(self, run: Run) -> list[Chunk]:
        """Return the chunks of a run as far as they have come."""
        rows = self._store.select("reprice/chunks", {"run_id": run.run_id})
        return [Chunk(**row) for row in rows]

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
        self._store.insert(REPRICE_CHUNKS, pa.table(row), token)

    def requests(self, from_us: int, to_us: int, version: str) -> pl.DataFrame:
        """Read the requests of other versions in [from_us, to_us), ready for `corrections`."""
        parameters = {"from_us": from_us, "to_us": to_us, "price_version": version}
        return self._frame("reprice/requests", parameters)

    def write_corrections(self, run: Run, chunk: Chunk, corrected: pl.DataFrame) -> None:
        """Store the corrections of a chunk, once."""
        rows = corrected.with_columns(
            pl.lit(run.run_id).alias("run_id"),
            pl.lit(chunk.number, dtype=pl.UInt32).alias("chunk"),
        )
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        token = f"reprice/{run.run_id}/{chunk.number}/corrections"
        self._store.insert(PRICE_CORRECTIONS, table, token)

    def corrections(self, run: Run, chunk: Chunk) -> pl.DataFrame:
        """Read the stored corrections of a chunk."""
        parameters = {"run_id": run.run_id, "chunk": chunk.number}
        return self._frame("reprice/corrections", parameters)

    def apply(self, run: Run, chunk: Chunk) -> None:
        """Set the prices of the raw rows to the corrections and wait until it is done.

        A lookup table of this attempt's own holds the new values: a rewriting that another
        attempt left running goes on beside it with its own, and both write the same.
        """
        lookup = {"lookup": f"reprice_{run.run_id}_{chunk.number}_{secrets.token_hex(4)}"}
        bounds = {"from_us": chunk.from_us, "to_us": chunk.to_us}
        self._store.run("reprice/create_lookup", names=lookup)
        self._store.run(
            "reprice/fill_lookup", {"run_id": run.run_id, "chunk": chunk.number}, lookup
        )
        self._store.run("reprice/apply", {**bounds, "price_version": run.price_version}, lookup)
        self._store.run("reprice/drop_lookup", names=lookup)

    def insert_deltas(self, run: Run, chunk: Chunk, table: str, deltas: pl.DataFrame) -> None:
        """Add corrections to a table of sums; those of windows reach every rollup by its views."""
        if deltas.height:
            token = f"reprice/{run.run_id}/{chunk.number}/{table}"
            self._store.insert(table, to_arrow(table, deltas), token)

    def day_gap(self, chunk: Chunk, table: str) -> tuple[int, int]:
        """Return raw rows less the sums of a chunk's day: (pico-USD, requests without a cost)."""
        day_start_us = chunk.from_us // DAY_US * DAY_US
        (row,) = self._store.select(_GAPS[table], {"day_start_us": day_start_us})
        return row["cost_pico_usd"], row["unpriced"]

    def drop_lookups(self, run: Run) -> None:
        """Drop lookup tables that interrupted attempts of a run left, unless still in use."""
        for row in self._store.select("reprice/leftover_lookups", {"run_id": run.run_id}):
            self._store.run("reprice/drop_lookup", names={"lookup": row["name"]})

    def _frame(self, name: str, parameters: dict[str, Any]) -> pl.DataFrame:
        """Run a query; texts come as plain strings, integers as Int64."""
        frame = cast(pl.DataFrame, pl.from_arrow(self._store.select_arrow(name, parameters)))
        return frame.with_columns(
            pl.col(name).cast(pl.String)
            for name, dtype in frame.schema.items()
            if not dtype.is_numeric()
        )
