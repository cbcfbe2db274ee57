"""The first text that is given of several columns: the subject of a call, or the model of it.

Columns are first asked whether they are empty or full, as most are in a batch: to pick row by row
would copy every text. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["first_text"]


def first_text(frame: pl.DataFrame, names: Sequence[str]) -> pl.Expr:
    """Return the first text of a row that is not empty; null where there is none.

    Args:
        frame: The only frame that the expression is for.
        names: Columns of texts, in their order of precedence.
    """
    if not names:
        return pl.lit(None, dtype=pl.String)
    given = frame.select((pl.col(name) != "").sum() for name in names).row(0)
    chosen: list[pl.Expr] = []
    for name, rows in zip(names, given, strict=True):
        if rows == frame.height:
            chosen.append(pl.col(name))
            break
        if rows:
            chosen.append(pl.when(pl.col(name) != "").then(pl.col(name)))
    return pl.coalesce(chosen) if chosen else pl.lit(None, dtype=pl.String)
