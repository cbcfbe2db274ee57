"""Fold a batch into window deltas: what it adds to each series in each ten seconds of event time.

Every measure is an integer sum or a histogram of counts, so deltas commute: the order of events,
batches and replays never matters, and late events are ordinary ones. Each event is counted once in
`events`, whatever its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.tables import WINDOW_US
from tokentide_jobs.core.window.exact import MONEY, exact_money
from tokentide_jobs.core.window.first_text import first_text
from tokentide_jobs.core.window.histogram import HISTOGRAM, buckets_of, histograms_of

DIMENSIONS: Final = (
    "tenant",
    "service",
    "environment",
    "operation",
    "provider",
    "model",
    "prompt_name",
    "prompt_version",
    "feature",
    "team",
)
"""What makes a series, in the order of the window tables."""

COST_SUMS: Final = (
    "cost_pico_usd",
    "cost_input_pico_usd",
    "cost_cache_read_pico_usd",
    "cost_cache_write_pico_usd",
    "cost_output_pico_usd",
    "cost_other_pico_usd",
    "cost_errors_pico_usd",
)
"""Sums of money, exact: Decimal(38, 0), because a few large events exceed 64 bits together."""

TOKEN_SUMS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)

HISTOGRAMS: Final = ("latency_hist", "ttft_hist", "output_tps_hist", "cost_hist")

_RATE_LIMIT_ERRORS: Final = ("rate_limit",)
_TIMEOUT_ERRORS: Final = ("timeout",)
_SERVER_ERRORS: Final = ("server_error", "overloaded")
"""Words of `error_type` that the producers use; every other error counts as other."""
_TRUNCATED: Final = ("length", "max_tokens")
"""Finish reasons of an answer cut at its token limit."""

_SHORTEST_GENERATION_MS: Final = 0.001


def _count(condition: pl.Expr) -> pl.Expr:
    return condition.sum().cast(pl.Int64)


def _micro(values: pl.Expr) -> pl.Expr:
    """Sum scores as integer millionths: float sums depend on their order."""
    return (values * 1e6).round().cast(pl.Int64).sum()


def _request_measures() -> dict[str, pl.Expr]:
    status, error = pl.col("status"), pl.col("error_type")
    is_error = status == "error"
    known = (*_RATE_LIMIT_ERRORS, *_TIMEOUT_ERRORS, *_SERVER_ERRORS)
    reasons = pl.col("finish_reasons")
    tokens = pl.col("input_tokens").is_null() & pl.col("output_tokens").is_null()
    is_truncated = pl.any_horizontal(reasons.list.contains(word) for word in _TRUNCATED)
    return {
        "requests": pl.len().cast(pl.Int64),
        "errors": _count(is_error),
        "errors_rate_limit": _count(is_error & error.is_in(_RATE_LIMIT_ERRORS)),
        "errors_timeout": _count(is_error & error.is_in(_TIMEOUT_ERRORS)),
        "errors_server": _count(is_error & error.is_in(_SERVER_ERRORS)),
        "errors_other": _count(is_error & ~error.is_in(known)),
        "refused": _count(status == "refused"),
        "filtered": _count(status == "filtered"),
        "cancelled": _count(status == "cancelled"),
        "abandoned": _count(status == "abandoned"),
        "truncated": _count(is_truncated),
        "retries": pl.col("retry_count").sum(),
        "streamed": pl.col("stream").sum().cast(pl.Int64),
        "usage_missing": _count((pl.col("usage_source") == "missing") | tokens),
        "unpriced": _count(pl.col("cost_pico_usd").is_null()),
        **{name: pl.col(name).sum() for name in TOKEN_SUMS},
        "duration_us_sum": (pl.col("duration_ms") * 1000).round().cast(pl.Int64).sum(),
        "ttft_us_sum": (pl.col("ttft_ms") * 1000).round().cast(pl.Int64).sum(),
        "ttft_count": pl.col("ttft_ms").count().cast(pl.Int64),
    }


def _evaluation_measures() -> dict[str, pl.Expr]:
    failed = ~pl.col("passed").fill_null(True)
    return {
        "evaluations": pl.len().cast(pl.Int64),
        "evaluations_scored": pl.col("score").count().cast(pl.Int64),
        "evaluation_score_micro_sum": _micro(pl.col("score")),
        "evaluations_passed": pl.col("passed").sum().cast(pl.Int64),
        "policy_violations": _count(failed & (pl.col("evaluator") == "guardrail")),
    }


def _feedback_measures() -> dict[str, pl.Expr]:
    return {
        "feedback": pl.len().cast(pl.Int64),
        "feedback_scored": pl.col("score").count().cast(pl.Int64),
        "feedback_score_micro_sum": _micro(pl.col("score")),
    }


_MEASURES: Final[Mapping[str, Mapping[str, pl.Expr]]] = {
    "request": _request_measures(),
    "evaluation": _evaluation_measures(),
    "feedback": _feedback_measures(),
    "change": {},
    "stats": {},
}
_COUNTS: Final = ("events", *(name for measures in _MEASURES.values() for name in measures))

DELTA_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "window_start": pl.Datetime("us", "UTC"),
    **dict.fromkeys(DIMENSIONS, pl.String()),
    **dict.fromkeys(_COUNTS, pl.Int64()),
    **dict.fromkeys(COST_SUMS, MONEY),
    **dict.fromkeys(HISTOGRAMS, HISTOGRAM),
}
"""Columns of the window deltas."""


def fold(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Fold decoded frames, the requests priced, into window deltas.

    Args:
        frames: Event type -> rows as `decode` gives them; requests with the columns of `price`.

    Returns:
        One row per (window, series) in DELTA_SCHEMA, sorted by window and dimensions, so that the
        same events give the same bytes.
    """
    parts = [_fold_one(name, frame) for name, frame in frames.items() if frame.height]
    if not parts:
        return pl.DataFrame(schema=dict(DELTA_SCHEMA))
    deltas = parts[0]
    if len(parts) > 1:
        present = {name for part in parts for name in part.columns}
        sums = [name for name in (*_COUNTS, *COST_SUMS) if name in present]
        # Only requests have histograms, and each series has one row of them at most.
        deltas = (
            pl.concat(parts, how="diagonal")
            .group_by("window_start", *DIMENSIONS)
            .agg(
                pl.col(
                    [name for name in sums if any(name in part.columns for part in parts)]
                ).sum(),
                *(pl.col(h).drop_nulls().first() for h in HISTOGRAMS if "request" in frames),
            )
        )
    absent = [
        pl.lit(_nothing(name, dtype), dtype=dtype).alias(name)
        for name, dtype in DELTA_SCHEMA.items()
        if name not in deltas.columns
    ]
    filled = [
        pl.col(name).fill_null(pl.lit([], dtype=DELTA_SCHEMA[name]))
        for name in HISTOGRAMS
        if name in deltas.columns and deltas[name].null_count()
    ]
    return (
        deltas.sort("window_start", *DIMENSIONS)
        .with_columns(*absent, *filled)
        .select(DELTA_SCHEMA.keys())
    )


def _nothing(name: str, dtype: pl.DataType) -> object:
    return [] if name in HISTOGRAMS else 0


def _fold_one(event_type: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Fold the events of one type; measures of other types are left out."""
    start = pl.col("started_at_us") // WINDOW_US * WINDOW_US
    keyed = frame.with_columns(
        start.cast(pl.Datetime("us", "UTC")).alias("window_start"), *_dimensions(frame)
    )
    measures = [expr.alias(name) for name, expr in _MEASURES[event_type].items()]
    if event_type != "request":
        return keyed.group_by("window_start", *DIMENSIONS).agg(
            pl.len().cast(pl.Int64).alias("events"), *measures
        )
    deltas = (
        keyed.with_row_index("row")
        .group_by("window_start", *DIMENSIONS)
        .agg(pl.len().cast(pl.Int64).alias("events"), *measures, *_money_sums(frame), pl.col("row"))
    )
    groups = np.empty(frame.height, np.int64)
    sizes = deltas["events"].to_numpy()
    groups[deltas["row"].explode().to_numpy()] = np.repeat(np.arange(len(sizes)), sizes)
    return deltas.drop("row").with_columns(_histograms(frame, groups, deltas.height))


def _dimensions(frame: pl.DataFrame) -> list[pl.Expr]:
    """Return what the window tables call the dimensions; types without a field give ""."""
    columns: list[pl.Expr] = []
    if "request_model" in frame.columns:
        model = first_text(frame, ("response_model", "request_model")).fill_null("")
        columns.append(model.alias("model"))
    absent = [name for name in DIMENSIONS if name != "model" and name not in frame.columns]
    if "request_model" not in frame.columns:
        absent.append("model")
    return columns + [pl.lit("").alias(name) for name in absent]


def _money_sums(frame: pl.DataFrame) -> list[pl.Expr]:
    """Return exact sums of every class of cost, and of what failed calls cost."""
    columns = exact_money(frame, COST_SUMS[:-1])
    sums = [
        values.sum().cast(MONEY).alias(name)
        for name, values in zip(COST_SUMS[:-1], columns, strict=True)
    ]
    failed = columns[0].filter(pl.col("status") == "error").sum()
    return [*sums, failed.cast(MONEY).alias("cost_errors_pico_usd")]


def _histograms(frame: pl.DataFrame, groups: NDArray[np.int64], count: int) -> list[pl.Series]:
    """Return the four histograms of every group of requests."""
    generation = pl.col("duration_ms") - pl.col("ttft_ms").fill_null(0.0)
    # An answer that came all at once has no time after its first token: take the whole duration.
    generation = pl.when(generation > 0).then(generation).otherwise(pl.col("duration_ms"))
    speed = pl.col("output_tokens") * 1000 / generation.clip(lower_bound=_SHORTEST_GENERATION_MS)
    has_speed = (pl.col("output_tokens") > 0) & (pl.col("duration_ms") > 0)
    values = frame.select(
        pl.col("duration_ms").alias("latency_hist"),
        pl.col("ttft_ms").alias("ttft_hist"),
        pl.when(has_speed).then(speed).alias("output_tps_hist"),
        pl.col("cost_pico_usd").cast(pl.Float64).alias("cost_hist"),
    )
    histograms = []
    for name in HISTOGRAMS:
        column, of_value = values[name], groups
        if column.null_count():
            of_value = groups[column.is_not_null().to_numpy()]
            column = column.drop_nulls()
        buckets = buckets_of(column.to_numpy())
        histograms.append(histograms_of(of_value, buckets, count).alias(name))
    return histograms
