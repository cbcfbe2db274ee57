"""Reads the Arrow streams of the delta topic into frames of the columns that are asked for.

Every writer of the topic can decide what comes in. So a record is bounded before it is unpacked
and checked before it is used: behind `read_rows` every value is there and means something.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tokentide_jobs.core.merge.delta_record import UnreadableDelta
from tokentide_jobs.core.merge.packed_size import unpacked_bytes
from tokentide_schemas.fields import MAX_EPOCH_US

__all__ = ["MOST_BYTES", "chosen_columns", "read_rows"]

MOST_BYTES: Final = 256 << 20
"""Of a record that is unpacked. Ingest cuts at 900 kB, and LZ4 packs at most 255 to one."""
_MOST: Final = 2**53
"""Of a count or of one bucket of a histogram."""
_MOST_PICO_USD: Final = 10**27
"""A quadrillion dollars."""


def read_rows(
    value: bytes,
    wanted: Mapping[str, pl.DataType],
    nullable: Collection[str] = (),
    added: Collection[str] = (),
) -> pl.DataFrame:
    """Return the rows of a record.

    Args:
        value: One Arrow stream.
        wanted: Column -> its type.
        nullable: Columns of which a row may have no value.
        added: Columns of texts that records of an earlier version lack: empty there.

    Raises:
        UnreadableDelta: It is none, a column or a value is missing, or it is too large.
    """
    try:
        _bound(unpacked_bytes(value))
        with pa.ipc.open_stream(value) as reader:
            table = reader.read_all()
        for name in added:
            if name not in table.column_names:
                table = table.append_column(name, pa.repeat("", table.num_rows))
        table = table.select(list(wanted))
        table.validate(full=True)
        _bound_texts(table)
        frame = chosen_columns(table, wanted)
        _check(frame, nullable)
    except Exception as exc:
        # Two libraries read untrusted bytes: whatever they raise is about those.
        raise UnreadableDelta(f"the rows of a delta cannot be read: {exc!r}"[:500]) from None
    return frame


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


def _bound(size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"{size:,} bytes unpacked, expected at most {MOST_BYTES:,}")


def _bound_texts(table: pa.Table) -> None:
    """Refuse columns that are far larger as they are used than as they are packed."""
    for column in table.columns:
        if pa.types.is_null(column.type):
            raise TypeError("a column without a type")
        if pa.types.is_dictionary(column.type):
            for chunk in column.chunks:
                longest = pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0
                _bound(longest * len(chunk))


def _check(frame: pl.DataFrame, nullable: Collection[str]) -> None:
    """Refuse rows without a value, times that are none, and numbers that nothing comes to.

    Raises:
        ValueError: There is one.
    """
    for column in frame.get_columns():
        name, dtype = column.name, column.dtype
        if column.null_count() and name not in nullable:
            raise ValueError(f"{name}: a row without a value")
        if isinstance(dtype, pl.List):
            _check_histogram(column)
        elif dtype != pl.String:
            least, most = _limits(name, dtype)
            # Without its unit: times may be none that Python has.
            numbers = column.cast(pl.Int64) if isinstance(dtype, pl.Datetime) else column
            low, high = numbers.min(), numbers.max()
            if low is not None and not least <= cast(int, low) <= cast(int, high) <= most:
                raise ValueError(f"{name}: from {low!r} to {high!r}")


def _limits(name: str, dtype: pl.DataType) -> tuple[int, int]:
    if name.endswith("_us") or isinstance(dtype, pl.Datetime):
        return 0, MAX_EPOCH_US
    if "pico_usd" in name:
        return -_MOST_PICO_USD, _MOST_PICO_USD
    return -_MOST, _MOST


def _check_histogram(column: pl.Series) -> None:
    entries = column.to_arrow().flatten()
    if entries.null_count or any(part.null_count for part in entries.flatten()):
        raise ValueError(f"{column.name}: an entry without a value")
    most = pc.max(entries.field("value")).as_py() or 0
    if most > _MOST:
        raise ValueError(f"{column.name}: an entry of {most}")
