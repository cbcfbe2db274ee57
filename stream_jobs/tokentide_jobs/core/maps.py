"""Maps inside events (`tags`, `other_units`) from the parser's JSON text to storage form.

Tags repeat from event to event, so the work is done once per distinct text: checked against the
field's bounds, written compactly with sorted keys, exactly as the judge writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.columns import COLUMNS, Column
from tokentide_jobs.core.judge import to_storage
from tokentide_jobs.core.scan import known_names

MAP_COLUMNS: Mapping[str, Column] = {
    column.name: column
    for columns in COLUMNS.values()
    for column in columns
    if column.kind in ("text_map", "number_map")
}
"""Every map of the contract by name; its bounds are the same in every event type."""


class StoredMaps(NamedTuple):
    """A column of maps in storage form."""

    texts: pl.Series
    """Canonical JSON; null where the map is absent or refused."""
    refused: NDArray[np.bool_]
    """Rows whose map the judge must decide about."""
    known_keys: NDArray[np.int64]
    """Keys inside each map that the byte scan takes for known fields."""


def store_maps(column: Column, parsed: pl.Series) -> StoredMaps:
    """Bring a column of parsed map texts (null = absent) into storage form."""
    height = len(parsed)
    refused = np.zeros(height, bool)
    known_keys = np.zeros(height, np.int64)
    if parsed.null_count() == height:
        return StoredMaps(parsed, refused, known_keys)
    distinct = parsed.drop_nulls().unique()
    forms = [_canonical(column, text) for text in distinct.to_list()]
    canonical = [form for form, _ in forms]
    counts = [known for _, known in forms]
    if any(counts):
        known_keys = parsed.replace_strict(distinct, counts, default=0).to_numpy()
    texts = parsed.replace_strict(distinct, canonical, default=None, return_dtype=pl.String)
    if None in canonical:
        refused = (texts.is_null() & parsed.is_not_null()).to_numpy()
    return StoredMaps(texts, refused, known_keys)


def _canonical(column: Column, text: str) -> tuple[str | None, int]:
    """Return storage form (None: let the judge decide) and the number of known-looking keys."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, 0
    if not isinstance(content, dict):
        return None, 0
    known = known_names(content)
    if column.max_length is not None and len(content) > column.max_length:
        return None, known
    fits = all(_fits(column.key, key) and _fits(column.item, v) for key, v in content.items())
    return (to_storage(column, content) if fits else None), known


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


def is_plain(name: str, parsed: str, line: bytes) -> bool:
    """Tell whether a map stands in its line just as the parser gives it back.

    The parser writes a map anew and forgets to escape its keys, so that one odd key may read like
    two. Only lines with a backslash can hold such a key; this compares the bytes.
    """
    try:
        compact = orjson.dumps(orjson.loads(parsed))
    except orjson.JSONDecodeError:
        return False
    key = b'"' + name.encode() + b'":'
    return key + compact in line or key + b" " + parsed.encode() in line
