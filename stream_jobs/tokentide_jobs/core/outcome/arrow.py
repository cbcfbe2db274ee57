"""Frames as Arrow tables that ClickHouse takes as they are.

Names and types are those of the tables: event times become timestamps, maps travel as JSON text in
the ephemeral `tags_json` and `other_units_json`, histograms become Arrow maps. A column in which
every row holds the table's own default is left out: ClickHouse fills it in, and most events use a
third of their fields.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tokentide_jobs.core.decode.columns import COLUMNS
from tokentide_jobs.core.tables import DEAD_LETTERS, SUBJECTS, TYPE_OF_TABLE, WINDOWS
from tokentide_jobs.core.window.fold import COST_SUMS, DELTA_SCHEMA, DIMENSIONS, HISTOGRAMS
from tokentide_jobs.core.window.subjects import SUBJECT_SCHEMA

_HIGH_CARDINALITY: Final = frozenset(
    {
        "event_id",
        "user",
        "user_hash",
        "trace_id",
        "span_id",
        "parent_span_id",
        "response_id",
        "previous_response_id",
        "conversation_id",
        "agent_id",
        "run",
        "run_id",
        "parent_run_id",
        "tool_call_id",
        "target_event_id",
        "usage_raw",
        "explanation",
        "comment",
        "description",
        "last_error",
        "from_version",
        "to_version",
    }
)
"""Texts that differ from row to row; all others are sent as dictionaries."""

_TIMES: Final = {"started_at_us": "started_at", "ingested_at_us": "ingested_at"}
_MAPS: Final = {"tags": "tags_json", "other_units": "other_units_json"}
_ALWAYS_SENT: Final = frozenset({"_partition", "_offset", "_idx", "log_id", "_topic"})
_INT8_VALUES: Final = 128
"""Distinct texts that indices of one byte can number."""


def to_arrow(table: str, rows: pl.DataFrame) -> pa.Table:
    """Return rows as an Arrow table whose columns are columns of a ClickHouse table.

    Args:
        table: A raw table, `dead_letters`, `windows_10s`, or `subjects_1h`.
        rows: A decoded frame with its constants (log_id, _topic, ingested_at_us, costs), dead
            letters, or deltas as `fold` and `fold_subjects` give them.

    Raises:
        KeyError: For any other table.
    """
    if table == WINDOWS:
        return _windows(rows)
    if table == SUBJECTS:
        return _subjects(rows)
    if table == DEAD_LETTERS:
        return rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    return _events(rows, TYPE_OF_TABLE[table])


def published(rows: pl.DataFrame) -> pa.Table:
    """Return rows that are published only; where a column has few texts, a row of it is a byte."""
    uniform = _uniform_columns(rows)
    columns = [
        _repeated(uniform[series.name], rows.height)
        if series.name in uniform and series.dtype == pl.String
        else _few_texts(series)
        for series in rows
    ]
    return pa.table(columns, names=rows.columns)


def _few_texts(series: pl.Series) -> pa.Array:
    """Return a column, as a dictionary if that is small: each part of the rows repeats it."""
    array = series.to_arrow(compat_level=pl.CompatLevel.oldest())
    if series.dtype != pl.String or series.name in _HIGH_CARDINALITY:
        return array
    encoded = array.dictionary_encode()
    return array if len(encoded.dictionary) > _INT8_VALUES else _narrow(encoded)


def _events(rows: pl.DataFrame, event_type: str) -> pa.Table:
    required = {column.name for column in COLUMNS[event_type] if column.is_required}
    uniform = _uniform_columns(rows)
    columns: dict[str, pa.Array] = {}
    for name, dtype in rows.schema.items():
        may_be_absent = name not in required and name not in _ALWAYS_SENT
        if name == "type" or (may_be_absent and name in uniform and _is_empty(name, uniform[name])):
            continue
        is_repeated = name in uniform and _is_dictionary(name, dtype)
        array = _repeated(uniform[name], rows.height) if is_repeated else _array(rows[name])
        columns[_TIMES.get(name) or _MAPS.get(name) or name] = array
    return pa.table(columns)


def _is_empty(name: str, value: object) -> bool:
    """Tell whether a value is what the table fills in where a column is left out."""
    return not isinstance(value, str) or value == ("{}" if name in _MAPS else "")


def _is_dictionary(name: str, dtype: pl.DataType) -> bool:
    return dtype == pl.String and name not in _HIGH_CARDINALITY and name not in _MAPS


def _array(series: pl.Series) -> pa.Array:
    times = series.cast(pl.Datetime("us", "UTC")) if series.name in _TIMES else series
    array = times.to_arrow(compat_level=pl.CompatLevel.oldest())
    return (
        _narrow(array.dictionary_encode()) if _is_dictionary(series.name, series.dtype) else array
    )


def _repeated(value: object, rows: int) -> pa.DictionaryArray:
    """Return a column of one text, which needs no hashing."""
    values = pa.array([value], pa.large_string())
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), values)


def _narrow(encoded: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return the column with indices of one byte where that is enough: most of it is indices."""
    if len(encoded.dictionary) > _INT8_VALUES:
        return encoded
    indices = encoded.indices.cast(pa.int8())
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary)


def _uniform_columns(rows: pl.DataFrame) -> dict[str, object]:
    """Return the columns with one value in all rows, as far as that is cheap to tell."""
    if not rows.height:
        return {}
    uniform: dict[str, object] = {}
    nulls, first, middle = rows.null_count().row(0), rows.row(0), rows.row(rows.height // 2)
    may_be: list[str] = []
    values = zip(rows.schema.items(), nulls, first, middle, strict=True)
    for (name, dtype), null_count, value, other in values:
        if dtype == pl.String:
            # Two rows show of most columns that they differ: those are not read to the end.
            if value == other:
                may_be.append(name)
                uniform[name] = value
        elif isinstance(dtype, pl.List):
            if not value and rows[name].list.len().max() == 0:
                uniform[name] = value
        elif null_count == rows.height:
            uniform[name] = None
    if not may_be:  # a frame without columns has no row, either
        return uniform
    checks = (pl.col(name).eq_missing(pl.col(name).first()).all() for name in may_be)
    for name, holds in zip(may_be, rows.select(checks).row(0), strict=True):
        if not holds:
            del uniform[name]
    return uniform


def _windows(deltas: pl.DataFrame) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for name in DELTA_SCHEMA:
        array = deltas[name].to_arrow(compat_level=pl.CompatLevel.oldest())
        if name in DIMENSIONS:
            array = _narrow(array.dictionary_encode())
        elif name == "window_start":
            array = array.cast(pa.timestamp("s", "UTC"))
        elif name in HISTOGRAMS:
            array = _maps(array)
        elif name in COST_SUMS:
            array = array.cast(pa.decimal128(38, 0))
        columns[name] = array
    return pa.table(columns)


def _subjects(deltas: pl.DataFrame) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for name in SUBJECT_SCHEMA:
        array = deltas[name].to_arrow(compat_level=pl.CompatLevel.oldest())
        if name in ("kind", "tenant", "service", "agent", "agent_version"):
            array = _narrow(array.dictionary_encode())
        elif name == "window_start":
            array = array.cast(pa.timestamp("s", "UTC"))
        elif name == "cost_pico_usd":
            array = array.cast(pa.decimal128(38, 0))
        columns[name] = array
    return pa.table(columns)


def _maps(lists: pa.LargeListArray) -> pa.MapArray:
    """Turn lists of (key, value) entries into Arrow maps without copying the entries."""
    offsets = lists.offsets.cast(pa.int32())
    entries = lists.values
    return pa.MapArray.from_arrays(offsets, entries.field("key"), entries.field("value"))
