"""Small words of Polars that many computations share."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

import polars as pl

from tests.sql.cookbook.stored import Stored

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)

KINDS = {
    "user": pl.col("user_hash"),
    "key": pl.col("key_id"),
    "agent": pl.col("agent_name"),
    "run": pl.col("run"),
    "tool": pl.col("tool_name"),
    "mcp_server": pl.col("mcp_server"),
}


def this_hour(stored: Stored) -> dt.datetime:
    return stored.now.replace(minute=0, second=0, microsecond=0)


def month_of(day: dt.datetime) -> dt.datetime:
    return day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def since(stored: Stored, days: float, of: str = "at") -> pl.DataFrame:
    """Return the calls of so many days; `of="hour"` those whose hour had not begun before."""
    return stored.requests.filter(pl.col(of) >= stored.now - dt.timedelta(days=days))


def since_day(stored: Stored, days: int) -> pl.DataFrame:
    """Return the calls of today and so many days before."""
    return stored.requests.filter(pl.col("day") >= stored.now.date() - dt.timedelta(days=days))


def calls() -> pl.Expr:
    return pl.len().alias("calls")


def total(name: str) -> pl.Expr:
    """Sum what was reported; null where nothing was."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum())


def count_if(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(False).sum().cast(pl.Int64)


def sum_if(name: str, condition: pl.Expr) -> pl.Expr:
    """Sum the calls of which something holds; null where none of them has the number."""
    values = pl.col(name).filter(condition.fill_null(False))
    return pl.when(values.count() > 0).then(values.sum())


def ratio(part: pl.Expr, whole: pl.Expr, by: float = 1.0) -> pl.Expr:
    return pl.when(whole != 0).then(by * part / whole)


def ranked(name: str, q: float) -> pl.Expr:
    """Of a column of lists the value of rank ceil(q * n), as the histograms define it."""

    def value(values: Sequence[float]) -> float | None:
        found = sorted(values)
        return float(found[max(1, math.ceil(q * len(found) - 1e-9)) - 1]) if found else None

    return pl.col(name).map_elements(value, return_dtype=pl.Float64)


def quantile(name: str, q: float) -> pl.Expr:
    """Of a column of lists what quantileExact of ClickHouse gives."""

    def value(values: Sequence[float]) -> float | None:
        found = sorted(values)
        return float(found[min(int(q * len(found)), len(found) - 1)]) if found else None

    return pl.col(name).map_elements(value, return_dtype=pl.Float64)


def reported(name: str) -> pl.Expr:
    """Collect the values that there are, for `ranked` and `quantile`."""
    return pl.col(name).drop_nulls()


def by_subject(calls: pl.DataFrame) -> pl.DataFrame:
    """Return each call once for every kind of which it names a subject."""
    return pl.concat(
        calls.with_columns(pl.lit(kind).alias("kind"), named.alias("subject"))
        for kind, named in KINDS.items()
    ).filter(pl.col("subject") != "")


def speed() -> pl.Expr:
    """Output tokens per second, from the first token on where that was measured."""
    generation = pl.col("duration_ms") - pl.col("ttft_ms").fill_null(0)
    generation = pl.when(generation > 0).then(generation).otherwise(pl.col("duration_ms"))
    return pl.when(pl.col("output0") > 0).then(pl.col("output_tokens") * 1000 / generation)
