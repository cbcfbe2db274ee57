"""Window tables as sums that can be compared: what raw rows make, what is there, what is missing.

The statements are made from the list of measures, so that a new measure cannot be forgotten. A
correction is inserted under a token made of its own content: sent twice, by any process, it counts
once. Inserted into one table it reaches the coarser ones by their views, as every delta does.
"""

# ruff: noqa: S608 -- names are validated or made here; every value is a parameter or a number
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.decode.columns import COLUMNS, STORAGE_DTYPES
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.core.price.pricing import PRICE_COLUMNS
from tokentide_jobs.core.tables import RAW_TABLES, WINDOW_LENGTH_S, WINDOWS
from tokentide_jobs.core.window.difference import SERIES, SUMS
from tokentide_jobs.core.window.fold import (
    COST_SUMS,
    DELTA_SCHEMA,
    DIMENSIONS,
    HISTOGRAMS,
    fold,
)
from tokentide_jobs.core.window.histogram import HISTOGRAM
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = [
    "OpenBatch",
    "Span",
    "WindowSums",
    "insert_correction",
    "money_and_events",
    "started_in",
    "without_batches",
]

_SPILLING: Final = "SETTINGS max_bytes_before_external_group_by = 150000000, max_threads = 2"
_READ_BY_FOLD: Final = frozenset(
    {
        *DIMENSIONS,
        *("request_model", "response_model", "status", "error_type", "usage_source"),
        *("finish_reasons", "retry_count", "stream", "duration_ms", "ttft_ms"),
        *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
        *("reasoning_tokens", "score", "passed", "evaluator"),
    }
)
"""Fields of events that `fold` looks at, besides started_at and costs."""
_COSTS: Final = tuple(name for name in PRICE_COLUMNS if name.endswith("pico_usd"))


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A range of event time, whole windows: [from_us, to_us)."""

    from_us: int
    to_us: int

    def __str__(self) -> str:
        return f"[{_time(self.from_us)}, {_time(self.to_us)})"


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch with an intent and no done row: offsets [start, end) of one partition."""

    log: LogPartition
    start: int
    end: int
    sealed_at_us: int

    def __str__(self) -> str:
        log = self.log
        return f"{log.topic}/{log.partition} [{self.start}, {self.end}) of log {log.log_id}"


class WindowSums:
    """The window tables of one database and the raw rows below them. Keeps no state.

    Args:
        store: Where everything is; give it a long timeout.
    """

    def __init__(self, store: ClickHouse) -> None:
        self._store = store
        self._db = f"`{store.database}`"

    def expected(self, span: Span, without: Sequence[OpenBatch]) -> pl.DataFrame:
        """Fold the raw rows of a span as ingest did.

        Args:
            span: Whole ten-second windows.
            without: Batches whose rows do not count, because their windows are still to come.
        """
        frames = {event_type: self._events(event_type, span, without) for event_type in RAW_TABLES}
        return fold({name: frame for name, frame in frames.items() if frame.height})

    def present(self, table: str, span: Span) -> pl.DataFrame:
        """Return what a window table holds of a span, in DELTA_SCHEMA."""
        return self._deltas(
            f"SELECT {', '.join(SERIES)}, {_summed('1')} FROM {self._db}.{table} "
            f"WHERE {_window_in(span)} GROUP BY {', '.join(SERIES)} {_SPILLING}"
        )

    def gap(self, table: str, finer: str, span: Span) -> pl.DataFrame:
        """Return what a rollup lacks to be the sum of the table it is made of, in DELTA_SCHEMA."""
        length_s = WINDOW_LENGTH_S[table]
        start = f"toDateTime(intDiv(toUnixTimestamp(window_start), {length_s}) * {length_s}, 'UTC')"
        sides = " UNION ALL ".join(
            f"SELECT * REPLACE ({start} AS window_start), {sign} AS sign "
            f"FROM {self._db}.{source} WHERE {_window_in(span)}"
            for source, sign in ((finer, 1), (table, -1))
        )
        differs = [f"{name} != 0" for name in SUMS] + [f"notEmpty({name})" for name in HISTOGRAMS]
        return self._deltas(
            f"SELECT * FROM (SELECT {', '.join(SERIES)}, {_summed('sign')} FROM ({sides}) "
            f"GROUP BY {', '.join(SERIES)}) WHERE {' OR '.join(differs)} {_SPILLING}"
        )

    def insert(self, table: str, span: Span, deltas: pl.DataFrame, nth: str) -> None:
        """Add a correction to a table; the same one under the same `nth` counts once."""
        rows = to_arrow(WINDOWS, deltas)  # all window tables have the same columns
        insert_correction(self._store, table, span, rows, nth)

    def _events(self, event_type: str, span: Span, without: Sequence[OpenBatch]) -> pl.DataFrame:
        """Read the rows of one type as the frame that `fold` takes."""
        dtypes = {
            column.name: STORAGE_DTYPES[column.kind]
            for column in COLUMNS[event_type]
            if column.name in _READ_BY_FOLD
        }
        if event_type == "request":
            dtypes |= dict.fromkeys(_COSTS, pl.Int64())
        excluded, parameters = without_batches(without)
        frame = self._frame(
            f"SELECT toUnixTimestamp64Micro(started_at) AS started_at_us, {', '.join(dtypes)} "
            f"FROM {self._db}.{RAW_TABLES[event_type]} WHERE {started_in(span)}{excluded}",
            parameters,
        )
        return frame.with_columns(
            pl.col("started_at_us").cast(pl.Int64),
            *(pl.col(name).cast(dtype) for name, dtype in dtypes.items()),
        )

    def _deltas(self, query: str) -> pl.DataFrame:
        frame = self._frame(query)
        if frame.is_empty():
            return pl.DataFrame(schema=dict(DELTA_SCHEMA))
        start = pl.from_epoch(pl.col("window_start").cast(pl.Int64), time_unit="s")
        return frame.with_columns(
            start.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            *(pl.col(name).cast(pl.String) for name in DIMENSIONS),
            *(pl.col(name).cast(DELTA_SCHEMA[name]) for name in SUMS),
            *(pl.col(name).cast(HISTOGRAM) for name in HISTOGRAMS),
        ).select(list(DELTA_SCHEMA))

    def _frame(self, query: str, parameters: dict[str, str] | None = None) -> pl.DataFrame:
        return cast(pl.DataFrame, pl.from_arrow(self._store.arrow(query, parameters)))


def _summed(sign: str) -> str:
    """Return the sums of every measure, each row counted `sign` times, under their own names."""
    columns: list[str] = []
    for name in SUMS:
        if name in COST_SUMS:
            columns.append(f"toDecimal128(sum({sign} * {name}), 0) AS {name}")
        else:
            columns.append(f"sum({sign} * toInt64({name})) AS {name}")
    for name in HISTOGRAMS:
        signed = f"mapApply((k, v) -> (k, toUInt64({sign} * toInt64(v))), {name})"
        columns.append(f"mapSort(mapFilter((k, v) -> v != 0, sumMap({signed}))) AS {name}")
    return ", ".join(columns)


def insert_correction(store: ClickHouse, table: str, span: Span, rows: pa.Table, nth: str) -> None:
    """Add rows to a table of sums under a token made of their content and of `nth`."""
    digest = hashlib.sha256(to_ipc(rows, compress=False)).hexdigest()[:32]
    store.insert(table, rows, f"repair/{table}/{span.from_us}-{span.to_us}/{digest}/{nth}")


def without_batches(batches: Sequence[OpenBatch]) -> tuple[str, dict[str, str]]:
    """Return a condition on raw rows that leaves out some batches, and its parameters."""
    excluded = "".join(
        f" AND NOT (log_id = {{log{n}:String}} AND _topic = {{topic{n}:String}} "
        f"AND _partition = {batch.log.partition} "
        f"AND _offset >= {batch.start} AND _offset < {batch.end})"
        for n, batch in enumerate(batches)
    )
    parameters = {f"log{n}": batch.log.log_id for n, batch in enumerate(batches)}
    return excluded, parameters | {f"topic{n}": batch.log.topic for n, batch in enumerate(batches)}


def started_in(span: Span) -> str:
    """Return the condition that a raw row began in a span."""
    return (
        f"started_at >= fromUnixTimestamp64Micro(toInt64({span.from_us}), 'UTC') "
        f"AND started_at < fromUnixTimestamp64Micro(toInt64({span.to_us}), 'UTC')"
    )


def _window_in(span: Span) -> str:
    return (
        f"window_start >= toDateTime({span.from_us // 1_000_000}, 'UTC') "
        f"AND window_start < toDateTime({span.to_us // 1_000_000}, 'UTC')"
    )


def _time(epoch_us: int) -> str:
    return datetime.fromtimestamp(epoch_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def money_and_events(deltas: pl.DataFrame, counted: str = "events") -> dict[str, Any]:
    """Return what a correction adds: rows, events (of subjects requests), cost_pico_usd."""
    return {
        "rows": deltas.height,
        "events": int(deltas[counted].sum() or 0),
        "cost_pico_usd": int(deltas["cost_pico_usd"].sum() or 0),
    }
