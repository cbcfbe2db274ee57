"""Exact sums of money: in 64 bits where they cannot overflow, else in 128."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

__all__ = ["MONEY", "exact_money"]

MONEY: Final = pl.Decimal(38, 0)


def exact_money(frame: pl.DataFrame, names: Sequence[str]) -> list[pl.Expr]:
    """Return columns of pico-USD as expressions whose sums are exact; cast the sums to MONEY."""
    largest = frame.select(pl.col(names).abs().max()).row(0)
    is_safe = max((value or 0 for value in largest), default=0) * frame.height < 1 << 63
    return [pl.col(name) if is_safe else pl.col(name).cast(MONEY) for name in names]
