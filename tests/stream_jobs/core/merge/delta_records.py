"""Records of the delta topic as ingest writes them, made of what a test says happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import PROGRESS_SCHEMA, ProgressMark
from tokentide_jobs.core.change.change_rows import CHANGES_SCHEMA
from tokentide_jobs.core.guard.step_rows import STEPS_SCHEMA
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.core.tables import SUBJECTS, WINDOWS
from tokentide_jobs.core.window.fold import DELTA_SCHEMA
from tokentide_jobs.core.window.subjects import SUBJECT_SCHEMA

TOPIC = "tokentide.events.v1"
MINUTE_US = 60_000_000
NOON_US = 1_790_000_040_000_000 // MINUTE_US * MINUTE_US
DOLLAR = 10**12


def log(partition: int = 0, log_id: str = "log-1") -> LogPartition:
    return LogPartition(log_id, TOPIC, partition)


def _record(
    schema: str, value: bytes, source: LogPartition, stamp_us: int, **coordinates: int
) -> DeltaRecord:
    headers: dict[str, Any] = {
        "schema": schema,
        "log_id": source.log_id,
        "topic": source.topic,
        "partition": source.partition,
        **coordinates,
    }
    named = tuple((name, str(text).encode()) for name, text in headers.items())
    return DeltaRecord(0, 0, stamp_us, named, value)


def _frame(rows: Sequence[dict[str, Any]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    def nothing(dtype: pl.DataType) -> object:
        if dtype == pl.String:
            return ""
        if isinstance(dtype, pl.Datetime):
            return datetime.fromtimestamp(NOON_US / 1e6, UTC)
        return [] if isinstance(dtype, pl.List) else 0

    filled = [{name: row.get(name, nothing(t)) for name, t in schema.items()} for row in rows]
    return pl.DataFrame(filled, schema=schema, orient="row")


def at(start_us: int) -> datetime:
    return datetime.fromtimestamp(start_us / 1e6, UTC)


def window_rows(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return window deltas; what a row does not name is zero."""
    return _frame(rows, dict(DELTA_SCHEMA))


def windows(
    frame: pl.DataFrame,
    start: int,
    end: int,
    source: LogPartition | None = None,
    stamp_us: int = NOON_US,
    chunk: int = 0,
) -> DeltaRecord:
    value = bytes(to_ipc(to_arrow(WINDOWS, frame), compress=True))
    source = source or log()
    return _record("windows.v1", value, source, stamp_us, start=start, end=end, chunk=chunk)


def subjects(
    rows: Sequence[dict[str, Any]], start: int, end: int, stamp_us: int = NOON_US
) -> DeltaRecord:
    frame = _frame(rows, dict(SUBJECT_SCHEMA))
    value = bytes(to_ipc(to_arrow(SUBJECTS, frame), compress=True))
    return _record("subjects.v1", value, log(), stamp_us, start=start, end=end, chunk=0)


def steps(
    rows: Sequence[dict[str, Any]],
    start: int,
    end: int,
    stamp_us: int = NOON_US,
    columns: Iterable[str] = STEPS_SCHEMA,
) -> DeltaRecord:
    frame = _frame(rows, dict(STEPS_SCHEMA)).select(list(columns))
    value = bytes(to_ipc(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), compress=True))
    return _record("steps.v1", value, log(), stamp_us, start=start, end=end, chunk=0)


def changes(
    rows: Sequence[dict[str, Any]], start: int, end: int, stamp_us: int = NOON_US
) -> DeltaRecord:
    frame = _frame(rows, dict(CHANGES_SCHEMA))
    value = bytes(to_ipc(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), compress=True))
    return _record("changes.v1", value, log(), stamp_us, start=start, end=end, chunk=0)


def mark(
    arrived_us: int | None,
    position: int = 0,
    source: LogPartition | None = None,
    stamp_us: int | None = None,
    partitions: int = 1,
) -> DeltaRecord:
    source = source or log()
    stamp_us = stamp_us if stamp_us is not None else arrived_us or NOON_US
    newest_mark = ProgressMark(
        log=source,
        position=position,
        log_end=position,
        arrived_us=arrived_us,
        max_event_us=None,
        at_us=stamp_us,
        sources={TOPIC: partitions},
    )
    return _record(PROGRESS_SCHEMA, newest_mark.to_json(), source, stamp_us)
