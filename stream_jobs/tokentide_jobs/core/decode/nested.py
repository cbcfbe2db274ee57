"""Maps and lists inside events, from the parser's JSON text to storage form.

`tags`, `other_units` and `finish_reasons` repeat from event to event, so they are parsed as text
and the work is done once per distinct text: checked against the field's bounds, and stored exactly
as the judge stores them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.decode.columns import COLUMNS, Column
from tokentide_jobs.core.decode.judge import to_storage
from tokentide_jobs.core.decode.scan import known_names

NESTED_COLUMNS: Mapping[str, Column] = {
    column.name: column
    for columns in COLUMNS.values()
    for column in columns
    if column.kind in ("texts", "text_map", "number_map")
}
"""Every map and list of the contract by name; its bounds are the same in every event type."""


class StoredColumn(NamedTuple):
    """A column in storage form."""

    values: pl.Series
    """Null where the value is absent or refused."""
    refused: NDArray[np.bool_]
    """Rows whose value the judge must decide about."""
    known_keys: NDArray[np.int64]
    """Keys inside each map that the byte scan takes for known fields."""


def store(column: Column, parsed: pl.Series) -> StoredColumn:
    """Bring a column of parsed JSON texts (null = absent) into storage form."""
    height = len(parsed)
    refused = np.zeros(height, bool)
    known_keys = np.zeros(height, np.int64)
    distinct = parsed.drop_nulls().unique()
    forms = [_storage_form(column, text) for text in distinct.to_list()]
    values = pl.Series(parsed.name, [form for form, _ in forms], dtype=column.dtype)
    places = parsed.replace_strict(
        distinct, range(len(forms)), default=None, return_dtype=pl.UInt32
    )
    counts = np.array([known for _, known in forms], np.int64)
    stored = values.gather(places)
    if counts.any():
        known_keys = np.append(counts, 0)[places.fill_null(len(forms)).to_numpy()]
    if values.null_count():
        refused = (stored.is_null() & parsed.is_not_null()).to_numpy()
    return StoredColumn(stored, refused, known_keys)


def _storage_form(column: Column, text: str) -> tuple[Any, int]:
    """Return storage form (None: let the judge decide) and the number of known-looking keys."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, 0
    if not isinstance(content, list if column.kind == "texts" else dict):
        return None, 0
    known = sum(map(_is_known, content)) if isinstance(content, dict) else 0
    if column.max_length is not None and len(content) > column.max_length:
        return None, known
    keys, values = (content, content.values()) if isinstance(content, dict) else ((), content)
    fits = all(_fits(column.key, key) for key in keys)
    fits = fits and all(_fits(column.item, value) for value in values)
    return (to_storage(column, content) if fits else None), known


@lru_cache(maxsize=4096)
def _is_known(key: str) -> bool:
    """Tell whether the byte scan takes a key for a known field; keys repeat, values differ."""
    return known_names((key,)) > 0


def _fits(bounds: Column | None, value: object) -> bool:
    """Tell whether a key or value is certainly within its bounds."""
    if bounds is None:
        return False
    if bounds.kind == "text":
        longest = bounds.max_length if bounds.max_length is not None else 0
        return isinstance(value, str) and bounds.min_length <= len(value) <= longest
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low = bounds.ge if bounds.ge is not None else float("inf")
    return low <= value and (bounds.le is None or value <= bounds.le)


def occurs_in(name: str, parsed: str, line: bytes) -> bool:
    """Tell whether a map is in its line what the parser gives back.

    The parser writes a map again and forgets to escape its keys, so that one odd key may read like
    two. Only lines with a backslash can hold such a key.
    """
    try:
        content = orjson.loads(parsed)
        key = b'"' + name.encode() + b'"'
        if line.count(key) == 1 and key + b":" + orjson.dumps(content) in line:
            return True
        whole = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(whole, dict) and bool(whole.get(name) == content)
