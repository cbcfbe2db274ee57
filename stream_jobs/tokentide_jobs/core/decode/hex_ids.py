"""Ids in hexadecimal digits, looked at as one run of bytes: five times as fast as by a pattern.

May only accept: a column with another length, an absent id or a capital letter is not surely right,
and its pattern decides row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from tokentide_schemas.fields import HEX16_PATTERN, HEX32_PATTERN, UUID_PATTERN

__all__ = ["SHAPES", "all_match"]

SHAPES: Final[Mapping[str, tuple[int, tuple[int, ...]]]] = {
    HEX16_PATTERN: (16, ()),
    HEX32_PATTERN: (32, ()),
    UUID_PATTERN: (36, (8, 13, 18, 23)),
}
"""Pattern -> length of the texts that match it, or of most of them, and where they have hyphens."""


def all_match(values: pl.Series, pattern: str) -> bool:
    """Tell whether each text is of the usual shape of a pattern in SHAPES."""
    width, hyphens = SHAPES[pattern]
    if values.null_count() or not (values.str.len_bytes() == width).all():
        return False
    array = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    _validity, offsets, data = array.buffers()
    start = np.frombuffer(offsets, np.int64)[array.offset]
    signs = np.frombuffer(data, np.uint8)[start : start + width * len(array)]
    is_digit = ((signs - ord("0")) < 10) | ((signs - ord("a")) < 6)  # of bytes, never below zero
    if not hyphens:
        return bool(is_digit.all())
    are_hyphens = signs.reshape(-1, width)[:, hyphens] == ord("-")
    digits = len(array) * (width - len(hyphens))
    return bool(are_hyphens.all()) and int(np.count_nonzero(is_digit)) == digits
