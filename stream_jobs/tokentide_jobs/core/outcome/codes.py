"""Codes and kinds of errors that are codes: what a foreign producer wrote instead is not stored.

The SDK passes on only codes that providers document, and kinds of its own list. Others may put a
provider's message there, and with it a piece of a prompt. The event stays, the text goes, and that
is counted. Pure.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from tokentide_schemas.fields import CODE_PATTERN

__all__ = ["without_texts"]

_INSTEAD: Final = {"error_code": "", "error_type": "unknown"}
"""What is stored in the place of a text: that an error had a kind is known, its kind is not."""


def without_texts(events: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Replace what has no code's shape where a code belongs; return the rows, and how many."""
    texts = {
        name: (pl.col(name) != "") & ~pl.col(name).str.contains(CODE_PATTERN)
        for name in _INSTEAD
        if name in events.columns
    }
    if not texts:
        return events, 0
    replaced = sum(events.select(is_text.sum() for is_text in texts.values()).row(0))
    if not replaced:
        return events, 0
    kept = (
        pl.when(is_text).then(pl.lit(_INSTEAD[name])).otherwise(pl.col(name)).alias(name)
        for name, is_text in texts.items()
    )
    return events.with_columns(kept), replaced
