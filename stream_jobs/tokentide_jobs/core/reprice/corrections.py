"""Pricing stored requests again: what each row costs now, and what that changes in the windows.

Pure: rows and cards in, corrections and deltas of windows and subjects out. The deltas are the fold
of the new prices less the fold of the old ones, so sums stay those of their rows in any case.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.pricing import PRICE_COLUMNS, price
from tokentide_jobs.core.tables import PLACE_COLUMNS
from tokentide_jobs.core.window.difference import minus
from tokentide_jobs.core.window.fold import DELTA_SCHEMA, DIMENSIONS, fold
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS, kinds_of
from tokentide_jobs.core.window.subjects import SUBJECT_SCHEMA, fold_subjects, minus_subjects

__all__ = [
    "CORRECTION_COLUMNS",
    "changes",
    "corrections",
    "subject_corrections",
    "window_corrections",
]

_OLD: Final = {name: f"old_{name}" for name in PRICE_COLUMNS}
_SUBJECTS: Final = {f"subject_{kind}": fields[0] for kind, fields in SUBJECT_KINDS.items()}
"""The subject of each kind, as a correction has it -> the field that `fold_subjects` reads."""
CORRECTION_COLUMNS: Final = (
    *PLACE_COLUMNS,
    "started_at_us",
    *DIMENSIONS,
    "status",
    *_SUBJECTS,
    "subject_kinds",
    *_OLD.values(),
    *PRICE_COLUMNS,
)
"""Columns of a correction, as in the table price_corrections."""

_FOLDED_DEFAULTS: Final = {
    "error_type": pl.lit(""),
    "usage_source": pl.lit(""),
    "finish_reasons": pl.lit([], dtype=pl.List(pl.String)),
    "stream": pl.lit(None, dtype=pl.Boolean),
    "duration_ms": pl.lit(0.0),
    "ttft_ms": pl.lit(None, dtype=pl.Float64),
    **{
        name: pl.lit(None, dtype=pl.Int64)
        for name in (
            "retry_count",
            "tool_calls_count",
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
        )
    },
}
"""What `fold` reads besides prices; the same on both sides, so it cancels out."""


def corrections(rows: pl.DataFrame, cards: CardTable) -> pl.DataFrame:
    """Price stored rows again.

    Args:
        rows: What `price` needs, the dimensions, the identity, and the stored price columns.
        cards: The prices to apply.

    Returns:
        CORRECTION_COLUMNS, one row per row, changed or not: the version changes anyway.
    """
    return price(rows.rename(_OLD), cards).select(CORRECTION_COLUMNS)


def window_corrections(corrected: pl.DataFrame) -> pl.DataFrame:
    """Return what corrections add to the windows, in the schema of `fold`; often negative."""
    rows = _changed(corrected)
    return minus(_fold(_newly_priced(rows)), _fold(_formerly_priced(rows)))


def subject_corrections(corrected: pl.DataFrame) -> pl.DataFrame:
    """Return what corrections add to the sums by subject, in the schema of `fold_subjects`.

    A subject that its batch had put under `(other)` gets its difference under its own name: the
    sums of the kind stay exact.
    """
    rows = _changed(corrected)
    new, old = (
        pl.concat(
            [
                pl.DataFrame(schema=dict(SUBJECT_SCHEMA)),
                *(
                    fold_subjects(counted, kinds_of(str(kinds)), counted.height)
                    for (kinds,), counted in priced.partition_by(
                        "subject_kinds", as_dict=True
                    ).items()
                ),
            ]
        )
        for priced in (_newly_priced(rows), _formerly_priced(rows))
    )
    return minus_subjects(new, old)


def changes(corrected: pl.DataFrame) -> pl.DataFrame:
    """Sum corrections by provider and model, the largest change of money first.

    Returns:
        provider, model, requests, changed (other cost than before), old_pico_usd, new_pico_usd,
        and requests without a cost before and after: old_unknown, new_unknown. Exact sums.
    """
    money = pl.Decimal(38, 0)
    old, new = pl.col("old_cost_pico_usd"), pl.col("cost_pico_usd")
    return (
        corrected.group_by("provider", "model")
        .agg(
            pl.len().cast(pl.Int64).alias("requests"),
            old.ne_missing(new).sum().cast(pl.Int64).alias("changed"),
            old.cast(money).sum().alias("old_pico_usd"),
            new.cast(money).sum().alias("new_pico_usd"),
            old.is_null().sum().cast(pl.Int64).alias("old_unknown"),
            new.is_null().sum().cast(pl.Int64).alias("new_unknown"),
        )
        .sort(
            (pl.col("new_pico_usd") - pl.col("old_pico_usd")).abs(),
            "provider",
            "model",
            descending=[True, False, False],
        )
    )


def _changed(corrected: pl.DataFrame) -> pl.DataFrame:
    changed = pl.any_horizontal(pl.col(old).ne_missing(pl.col(new)) for new, old in _OLD.items())
    return corrected.filter(changed)


def _newly_priced(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(*_context(), *PRICE_COLUMNS)


def _formerly_priced(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(*_context(), *(pl.col(old).alias(new) for new, old in _OLD.items()))


def _context() -> list[pl.Expr]:
    names = ("started_at_us", *DIMENSIONS, "status", "subject_kinds")
    plain = [pl.col(name) for name in names if name != "model"]
    # `fold` takes the model from the event's two fields; a correction has the result.
    return [
        *plain,
        pl.col("model").alias("response_model"),
        pl.col("model").alias("request_model"),
        *(pl.col(subject).alias(field) for subject, field in _SUBJECTS.items()),
        *(value.alias(name) for name, value in _FOLDED_DEFAULTS.items()),
    ]


def _fold(rows: pl.DataFrame) -> pl.DataFrame:
    return fold({"request": rows}) if rows.height else pl.DataFrame(schema=dict(DELTA_SCHEMA))
