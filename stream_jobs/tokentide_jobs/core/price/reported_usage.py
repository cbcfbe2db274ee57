"""What calls say that they used: their counts, and whether those are the whole of it.

A null is not reported, a zero is reported zero. What costs nothing, what is unknown and what is
only a part are three things, and none of them is taken for another. Pure.
"""

from __future__ import annotations

import polars as pl

__all__ = [
    "TOKEN_COLUMNS",
    "bills_a_block",
    "is_half_reported",
    "lacks_lifetimes",
    "lacks_tokens",
    "reported_usage",
    "text_column",
]

TOKEN_COLUMNS: tuple[str, ...] = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_write_long_tokens",
    "cache_read_audio_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "input_video_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "web_searches",
)
"""Counts of a request that are billed; all of them optional columns of the frame."""

_LIFETIMES = ("cache_write_1h_tokens", "cache_write_long_tokens")
"""Parts of the cache writes; where either is reported, the rest are writes of the short kind."""

_ANSWERED_OPERATIONS = ("chat", "text_completion", "generate_content")
"""Operations that are billed for what they read and for what they write."""


_BLOCK_BILLED = r"^(openai/)?(gpt-4o-mini|gpt-4\.1-mini)(-\d|$)"
_OLDER_SEARCH = "preview_web_searches"


def text_column(requests: pl.DataFrame, name: str) -> pl.Expr:
    """Return an optional text column, "" where it is null or missing."""
    if name not in requests.columns:
        return pl.lit("").alias(name)
    return pl.col(name).fill_null("")


def reported_usage(requests: pl.DataFrame) -> pl.DataFrame:
    """Return the counts that occur, with 0 for null, and what they say of the call."""
    reported = [name for name in TOKEN_COLUMNS if name in requests.columns]
    totals = [n for n in ("input_tokens", "output_tokens", "web_searches") if n in reported]
    peaks = requests.select(pl.col(reported).max()).row(0) if reported else ()
    active = [name for name, peak in zip(reported, peaks, strict=True) if peak]
    other = text_column(requests, "other_units")
    # Named before they are combined: an expression that occurs five times is computed five times.
    facts = requests.select(
        *(pl.col(name).cast(pl.Int64).fill_null(0) for name in active),
        other.alias("other_units"),
        (other.str.len_bytes() > len("{}")).alias("has_other"),
        _is_missing(requests).alias("is_missing"),
        _is_failure(requests).alias("is_failure"),
        pl.all_horizontal(pl.lit(True), *(pl.col(name).is_null() for name in totals)).alias(
            "is_silent"
        ),
        (text_column(requests, "status") == "ok").alias("is_ok"),
        (is_half_reported(requests) | bills_a_block(requests)).alias("is_half"),
        _searches_unreported(requests).alias("is_search_unreported"),
        lacks_tokens(requests).alias("is_tokenless"),
        lacks_lifetimes(requests).alias("is_lifetimeless"),
    )
    facts = facts.with_columns(
        pl.any_horizontal("has_other", *(pl.col(name) > 0 for name in active)).alias("is_used")
    )
    is_used, missing, is_failure = pl.col("is_used"), pl.col("is_missing"), pl.col("is_failure")
    unknown = ~is_used & ~is_failure & (missing | pl.col("is_silent") | pl.col("is_tokenless"))
    facts = facts.with_columns(unknown.alias("is_unknown"))
    return facts.select(
        *active,
        "other_units",
        "has_other",
        "is_unknown",
        (~is_used & is_failure).alias("is_free"),
        ((is_used & missing) | pl.col("is_half")).alias("is_incomplete"),
        "is_search_unreported",
        "is_tokenless",
        "is_lifetimeless",
        ((is_used | pl.col("is_ok")) & ~pl.col("is_unknown")).cast(pl.Int64).alias("fee"),
    )


def is_half_reported(requests: pl.DataFrame) -> pl.Expr:
    """Tell calls that report one total of input and output where both are billed.

    A call that failed may well have no answer; none has no question.
    """
    no_input, no_output = _unreported_totals(requests)
    is_failure = _is_failure(requests)
    half = (no_input & ~no_output) | (no_output & ~no_input & ~is_failure)
    return half & text_column(requests, "operation").is_in(_ANSWERED_OPERATIONS)


def bills_a_block(requests: pl.DataFrame) -> pl.Expr:
    """Tell searches that are billed a fixed block of input tokens, beside what a call reports.

    OpenAI's price page says 8,000 a search for these models, with the newer of its search tools.
    Whether the reported input has them is not known: no bill has shown it.
    """
    if "web_searches" not in requests.columns:
        return pl.lit(False)
    searched = pl.col("web_searches").fill_null(0) > 0
    if not requests.select(searched.any()).item():
        return pl.lit(False)
    served, asked = (text_column(requests, f"{name}_model") for name in ("response", "request"))
    model = pl.when(served != "").then(served).otherwise(asked).str.to_lowercase()
    is_older = text_column(requests, "other_units").str.contains(_OLDER_SEARCH, literal=True)
    return searched & model.str.contains(_BLOCK_BILLED) & ~is_older


def _searches_unreported(requests: pl.DataFrame) -> pl.Expr:
    if "web_searches" not in requests.columns:
        return pl.lit(True)
    return pl.col("web_searches").is_null()


def lacks_tokens(requests: pl.DataFrame) -> pl.Expr:
    """Tell calls that report neither total where both are billed: searches alone are no answer.

    A call that failed before the model answered lacks nothing.
    """
    no_input, no_output = _unreported_totals(requests)
    is_failure = _is_failure(requests)
    is_answered = text_column(requests, "operation").is_in(_ANSWERED_OPERATIONS)
    return no_input & no_output & ~is_failure & is_answered


def lacks_lifetimes(requests: pl.DataFrame) -> pl.Expr:
    """Tell calls that wrote to a cache and do not say for how long: a reported 0 of 1 h says it."""
    if "cache_write_tokens" not in requests.columns:
        return pl.lit(False)
    unreported = [pl.col(name).is_null() for name in _LIFETIMES if name in requests.columns]
    return (pl.col("cache_write_tokens").fill_null(0) > 0) & pl.all_horizontal(
        pl.lit(True), *unreported
    )


def _unreported_totals(requests: pl.DataFrame) -> tuple[pl.Expr, pl.Expr]:
    no_input, no_output = (
        pl.col(name).is_null() if name in requests.columns else pl.lit(True)
        for name in ("input_tokens", "output_tokens")
    )
    return no_input, no_output


def _is_missing(requests: pl.DataFrame) -> pl.Expr:
    return text_column(requests, "usage_source") == "missing"


def _is_failure(requests: pl.DataFrame) -> pl.Expr:
    """Tell calls that never reached the model, and so cost nothing when no usage came with them.

    A call that broke after its first chunk, was cancelled or abandoned has been billed by most
    providers; a refusal costs nothing only when the provider reports no usage for it.
    """
    status = text_column(requests, "status")
    began = pl.col("chunks").fill_null(0) > 0 if "chunks" in requests.columns else pl.lit(False)
    return ((status == "error") & ~began) | (
        status.is_in(["refused", "filtered"]) & ~_is_missing(requests)
    )
