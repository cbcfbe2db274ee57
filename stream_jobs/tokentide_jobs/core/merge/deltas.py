"""Reads the Arrow streams of the delta topic into frames of the columns that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.merge.delta_record import UnreadableDelta

__all__ = ["chosen_columns", "read_rows"]


def read_rows(value: bytes, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the rows of a record.

    Args:
        value: One Arrow stream.
        wanted: Column -> its type.

    Raises:
        UnreadableDelta: It is none, or a column is missing.
    """
    try:
        with pa.ipc.open_stream(value) as reader:
            return chosen_columns(reader.read_all(), wanted)
    except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError, pl.exceptions.PolarsError) as exc:
        raise UnreadableDelta(f"the rows of a delta cannot be read: {exc}") from None


def chosen_columns(table: pa.Table, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return some columns of a table as a frame, in the types that are asked for."""
    frame = cast(pl.DataFrame, pl.from_arrow(_plain(table.select(list(wanted)))))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())


def _plain(table: pa.Table) -> pa.Table:
    """Return texts as texts: a dictionary of every record would be another type."""
    columns: Sequence[pa.ChunkedArray] = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(list(columns), names=table.column_names)
