"""Error codes that are codes: what a foreign producer wrote instead is not stored.

The SDK passes on only codes that providers document. Others may put a provider's message there,
and with it a piece of a prompt. The event stays, its code is cleared, and that is counted. Pure.
"""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = ["without_texts"]

_CODE: Final = r"^[A-Za-z0-9_.:-]{1,64}$"
"""The shape of every code that providers document, with room."""


def without_texts(requests: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Clear the error codes that have no code's shape; return the rows, and how many it were."""
    code = pl.col("error_code")
    is_text = (code != "") & ~code.str.contains(_CODE)
    cleared = int(requests.select(is_text.sum()).item())
    if not cleared:
        return requests, 0
    kept = pl.when(is_text).then(pl.lit("")).otherwise(code)
    return requests.with_columns(kept.alias("error_code")), cleared
