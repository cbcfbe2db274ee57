"""Changes as rows: what ingest publishes of each `change` event, and what detection reads of it.

Rows hold text and times only; what a producer left out is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from tokentide_jobs.core.change.cause import Change

__all__ = ["CHANGES", "CHANGES_SCHEMA", "change_rows", "changes_of"]

CHANGES: Final = "changes"
"""Stands for these rows where others are named by their table: they are published, not stored."""

_PLACES: Final = ("service", "environment", "tenant", "team", "feature")
"""What says where it was changed."""
_TEXTS: Final = ("kind", "subject", "from_version", "to_version", "actor")

CHANGES_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "at_us": pl.Int64(),
    **dict.fromkeys((*_TEXTS, *_PLACES), pl.String()),
}
"""Columns of the rows."""


def change_rows(changes: pl.DataFrame) -> pl.DataFrame:
    """Return `change` events in CHANGES_SCHEMA, in the order of the log.

    Args:
        changes: Rows of the raw table.
    """
    if not changes.height:
        return pl.DataFrame(schema=dict(CHANGES_SCHEMA))
    texts = pl.col(*_TEXTS, *_PLACES).cast(pl.String).fill_null("")
    return changes.select(pl.col("started_at_us").alias("at_us"), texts).cast(dict(CHANGES_SCHEMA))  # type: ignore[arg-type]


def changes_of(rows: pl.DataFrame) -> Iterator[Change]:
    """Yield rows as changes, in their order.

    Args:
        rows: In CHANGES_SCHEMA.
    """
    for row in rows.iter_rows(named=True):
        where = {name: row[name] for name in _PLACES if row[name]}
        yield Change(at_us=row["at_us"], dimensions=where, **{name: row[name] for name in _TEXTS})
