"""Sums by subject that can be compared: what raw rows make of hours, and what is there.

Raw rows say under which kinds they are counted, so the batches they came with need not be known. An
hour may hold any number of rows: they are folded piece by piece.
"""

# ruff: noqa: S608 -- names are validated or made here; every value is a parameter or a number
from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import polars as pl

from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.tables import RAW_REQUESTS, SUBJECTS
from tokentide_jobs.core.window.subject_kinds import SUBJECT_FIELDS, kinds_of
from tokentide_jobs.core.window.subjects import (
    SUBJECT_KEY,
    SUBJECT_SCHEMA,
    SUBJECT_SUMS,
    fold_subjects,
    hourly,
    minus_subjects,
)
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.window_sums import (
    OpenBatch,
    Span,
    insert_correction,
    started_in,
    without_batches,
)

__all__ = ["SubjectSums"]

_TEXTS: Final = (
    *SUBJECT_FIELDS,
    *("agent_version", "parent_agent_name", "parent_run_id"),
    *("tenant", "service", "status", "subject_kinds"),
)
_NUMBERS: Final = ("input_tokens", "output_tokens", "tool_calls_count", "cost_pico_usd")


class SubjectSums:
    """The sums by subject of one database and the raw rows below them. Keeps no state.

    Args:
        store: Where everything is; give it a long timeout.
    """

    def __init__(self, store: ClickHouse) -> None:
        self._store = store
        self._db = f"`{store.database}`"

    def rows(self, day: Span) -> list[tuple[int, int]]:
        """Return (start of an hour in µs, rows to fold or to compare in it), in order."""
        bounds = {"from_us": day.from_us, "to_us": day.to_us}
        found = self._store.select("repair/subject_rows", bounds)
        return [(int(row["start_us"]), int(row["rows"])) for row in found]

    def difference(
        self, span: Span, pieces: Sequence[Span], without: Sequence[OpenBatch]
    ) -> pl.DataFrame:
        """Return what hours lack to be the sums of their raw rows, in SUBJECT_SCHEMA.

        Args:
            span: Whole hours.
            pieces: The parts of it that hold raw rows, each few enough to be folded at once.
            without: Batches whose rows do not count, because their sums are still to come.
        """
        parts = [part for piece in pieces for part in self._folded(piece, without)]
        nothing = pl.DataFrame(schema=dict(SUBJECT_SCHEMA))
        return minus_subjects(hourly(pl.concat([nothing, *parts])), self._present(span))

    def insert(self, span: Span, deltas: pl.DataFrame, nth: str) -> None:
        """Add a correction; the same one under the same `nth` counts once."""
        insert_correction(self._store, SUBJECTS, span, to_arrow(SUBJECTS, deltas), nth)

    def _folded(self, piece: Span, without: Sequence[OpenBatch]) -> list[pl.DataFrame]:
        excluded, parameters = without_batches(without)
        columns = ", ".join((*_TEXTS, *_NUMBERS, "duration_ms"))
        rows = self._frame(
            f"SELECT toUnixTimestamp64Micro(started_at) AS started_at_us, {columns} "
            f"FROM {self._db}.{RAW_REQUESTS} "
            f"WHERE {started_in(piece)} AND subject_kinds != ''{excluded}",
            parameters,
        ).with_columns(
            *(pl.col(name).cast(pl.String) for name in _TEXTS),
            *(pl.col(name).cast(pl.Int64) for name in ("started_at_us", *_NUMBERS)),
        )
        return [
            hourly(fold_subjects(counted, kinds_of(str(kinds)), counted.height))
            for (kinds,), counted in rows.partition_by("subject_kinds", as_dict=True).items()
        ]

    def _present(self, span: Span) -> pl.DataFrame:
        sums = [
            f"toDecimal128(sum({name}), 0) AS {name}"
            if name == "cost_pico_usd"
            else f"toInt64(sum({name})) AS {name}"
            for name in SUBJECT_SUMS
        ]
        others = [name for name in SUBJECT_SCHEMA if name not in (*SUBJECT_KEY, *SUBJECT_SUMS)]
        rest = [f"{'min' if 'first' in name else 'max'}({name}) AS {name}" for name in others]
        frame = self._frame(
            f"SELECT hour AS window_start, {', '.join((*SUBJECT_KEY[1:], *sums, *rest))} "
            f"FROM {self._db}.{SUBJECTS} "
            f"WHERE hour >= toDateTime({span.from_us // 1_000_000}, 'UTC') "
            f"AND hour < toDateTime({span.to_us // 1_000_000}, 'UTC') "
            f"GROUP BY hour, {', '.join(SUBJECT_KEY[1:])}"
        )
        if frame.is_empty():
            return pl.DataFrame(schema=dict(SUBJECT_SCHEMA))
        start = pl.from_epoch(pl.col("window_start").cast(pl.Int64), time_unit="s")
        return (
            frame.with_columns(start.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
            .select(list(SUBJECT_SCHEMA))
            .cast(dict(SUBJECT_SCHEMA))  # type: ignore[arg-type]
        )

    def _frame(self, query: str, parameters: dict[str, str] | None = None) -> pl.DataFrame:
        return cast(pl.DataFrame, pl.from_arrow(self._store.arrow(query, parameters)))
