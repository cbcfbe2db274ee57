"""Dead letters as rows: where a refused event was, why it was refused, and what is kept of it.

Building a dead letter never fails: whatever of the event can still be read helps to find its
producer, and what cannot be read is left empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.outcome.kept_event import KeptEvent, kept_event
from tokentide_jobs.core.record.dead_letter import DeadLetter
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.stand_in import (
    BEGINNING_KEPT,
    NOTHING_KEPT,
    TEXTS_MASKED,
    size_and_digest,
)

__all__ = ["DEAD_LETTER_SCHEMA", "dead_letter_frame"]

DEAD_LETTER_SCHEMA: Final = {
    "log_id": pl.String(),
    "_topic": pl.String(),
    "_partition": pl.Int32(),
    "_offset": pl.Int64(),
    "_idx": pl.Int32(),
    "reason": pl.String(),
    "field": pl.String(),
    "detail": pl.String(),
    "value": pl.Binary(),
    "record_at": pl.Datetime("ms", "UTC"),
    "type": pl.String(),
    "event_id": pl.String(),
    "tenant": pl.String(),
    "service": pl.String(),
    "sdk_name": pl.String(),
    "ingested_at": pl.Datetime("us", "UTC"),
}
"""Columns of the table `dead_letters`."""

MAX_VALUE_BYTES: Final = 1024 * 1024
"""So much is kept of the bytes of a dead letter; of longer ones the digest is kept too."""

_HINTS = ("type", "event_id", "tenant", "service", "sdk_name")
_HINT_LIMIT = 128
"""Characters kept of a hint; a refused event may hold anything."""


def dead_letter_frame(
    dead_letters: Iterable[DeadLetter], intent: Intent, records: Sequence[Record]
) -> pl.DataFrame:
    """Return the rows for `dead_letters`, one a dead letter, in the order given."""
    stamps = {record.offset: record.timestamp_ms for record in records}
    columns: dict[str, list[Any]] = {name: [] for name in DEAD_LETTER_SCHEMA}
    for dead_letter in dead_letters:
        kept = kept_event(dead_letter.value[:MAX_VALUE_BYTES])
        row: Mapping[str, Any] = {
            "log_id": intent.log.log_id,
            "_topic": intent.log.topic,
            "_partition": dead_letter.partition,
            "_offset": dead_letter.offset,
            "_idx": dead_letter.idx,
            "reason": dead_letter.reason,
            "field": dead_letter.field,
            "detail": _detail(dead_letter, kept),
            "value": kept.value,
            # A record may carry any timestamp, or -1 for none; the column begins in 1970.
            "record_at": max(0, min(stamps.get(dead_letter.offset, 0), 10**13)),
            "ingested_at": intent.sealed_at_us,
            **_hints(kept.fields),
        }
        for name, cells in columns.items():
            cells.append(row[name])
    physical = {
        name: pl.Int64() if isinstance(dtype, pl.Datetime) else dtype
        for name, dtype in DEAD_LETTER_SCHEMA.items()
    }
    return pl.DataFrame(columns, schema=physical).cast(dict(DEAD_LETTER_SCHEMA))  # type: ignore[arg-type]


def _detail(dead_letter: DeadLetter, kept: KeptEvent) -> str:
    value, detail = dead_letter.value, dead_letter.detail
    is_long = len(value) > MAX_VALUE_BYTES
    if not is_long and (kept.is_whole or detail.endswith((BEGINNING_KEPT, NOTHING_KEPT))):
        return detail
    how = BEGINNING_KEPT if is_long else TEXTS_MASKED
    digest = hashlib.sha256(value).hexdigest()
    return f"{detail}; {size_and_digest('the event', len(value), digest, how)}"


def _hints(event: Mapping[str, Any]) -> dict[str, str]:
    found = {name: event.get(name) for name in _HINTS}
    return {
        name: text[:_HINT_LIMIT] if isinstance(text, str) else "" for name, text in found.items()
    }
