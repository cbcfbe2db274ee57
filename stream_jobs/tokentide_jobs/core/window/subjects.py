"""Fold requests by subject: what a batch adds to each user, key, agent, run, tool and MCP server.

A request counts once under every kind of which it names a subject. Every measure commutes, as those
of windows do. Invariant: whatever is folded under `(other)`, the sums of a kind are those of its
rows, to the pico-dollar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import polars as pl

from tokentide_jobs.core.tables import SUBJECTS_S, WINDOW_US
from tokentide_jobs.core.window.exact import MONEY, exact_money
from tokentide_jobs.core.window.first_text import first_text
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS

__all__ = [
    "OTHER",
    "SUBJECT_KEY",
    "SUBJECT_SCHEMA",
    "SUBJECT_SUMS",
    "fold_subjects",
    "hourly",
    "minus_subjects",
]

OTHER: Final = "(other)"
"""Stands for all subjects of a kind beyond those that a batch may name."""

SUBJECT_KEY: Final = ("window_start", "kind", "subject", "tenant", "service")
SUBJECT_SUMS: Final = (
    "requests",
    "errors",
    "unpriced",
    "tool_calls",
    "input_tokens",
    "output_tokens",
    "cost_pico_usd",
)
_TIME: Final = pl.Datetime("us", "UTC")
_TEXTS: Final = ("agent", "agent_version", "user_hash", "parent")
"""What is known besides of a subject. Of several the greatest counts."""
_FIELD_OF_TEXT: Final[Mapping[str, Mapping[str, str]]] = {
    "run": {"agent": "agent_name", "agent_version": "agent_version", "user_hash": "user_hash",
            "parent": "parent_run_id"},
    "agent": {"agent_version": "agent_version", "parent": "parent_agent_name"},
    "tool": {"agent": "agent_name"},
}  # fmt: skip

_READ: Final = (
    *("started_at_us", "duration_ms", "tenant", "service", "status", "tool_calls_count"),
    *("input_tokens", "output_tokens", "cost_pico_usd"),
)

SUBJECT_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "window_start": _TIME,
    **dict.fromkeys(SUBJECT_KEY[1:], pl.String()),
    **dict.fromkeys(SUBJECT_SUMS[:-1], pl.Int64()),
    "cost_pico_usd": MONEY,
    "first_started_at": _TIME,
    "last_started_at": _TIME,
    "last_ended_at": _TIME,
    **dict.fromkeys(_TEXTS, pl.String()),
}
"""Columns of the subject deltas."""


def fold_subjects(requests: pl.DataFrame, kinds: Iterable[str], most: int) -> pl.DataFrame:
    """Fold priced requests into subject deltas.

    Args:
        requests: Rows as `fold` takes them.
        kinds: Kinds that are counted, of SUBJECT_KINDS.
        most: Subjects of a kind that keep their names: those that spend most, then those with most
            requests, then the greatest names. All others become OTHER.

    Returns:
        One row per (window, kind, subject, tenant, service) in SUBJECT_SCHEMA, sorted, so that the
        same requests give the same bytes.
    """
    if not requests.height:
        return pl.DataFrame(schema=dict(SUBJECT_SCHEMA))
    [money] = exact_money(requests, ["cost_pico_usd"])
    fields_of = {
        kind: [name for name in SUBJECT_KINDS[kind] if name in requests.columns] for kind in kinds
    }
    is_named = requests.select(
        pl.any_horizontal(pl.lit(False), *((pl.col(name) != "").any() for name in fields)).alias(
            kind
        )
        for kind, fields in fields_of.items()
    )
    parts = [
        _fold_kind(requests, kind, fields, money, most)
        for kind, fields in fields_of.items()
        if is_named[kind].any()
    ]
    if not parts:
        return pl.DataFrame(schema=dict(SUBJECT_SCHEMA))
    return pl.concat(parts).sort(SUBJECT_KEY)


def hourly(deltas: pl.DataFrame) -> pl.DataFrame:
    """Return deltas as the table holds them: `window_start` is the hour, each subject once."""
    start = pl.col("window_start").dt.truncate(f"{SUBJECTS_S}s")
    return _merged(deltas.with_columns(start))


def minus_subjects(wanted: pl.DataFrame, present: pl.DataFrame) -> pl.DataFrame:
    """Return what added to `present` gives `wanted`; rows that add nothing are left out.

    Where `present` has subjects under OTHER, their names are not known any more: there the sums of
    the kind are compared, and the difference is one of OTHER.
    """
    group = [name for name in SUBJECT_KEY if name != "subject"]
    capped = present.filter(pl.col("subject") == OTHER).select(group).unique()
    capped = capped.with_columns(pl.lit(OTHER).alias("_other"))

    def renamed(frame: pl.DataFrame) -> pl.DataFrame:
        joined = frame.join(capped, on=group, how="left")
        subject = pl.coalesce("_other", "subject").alias("subject")
        is_capped = pl.col("_other").is_not_null()
        texts = (
            pl.when(~is_capped).then(name).otherwise(pl.lit("")).alias(name) for name in _TEXTS
        )
        return joined.with_columns(subject, *texts).select(list(SUBJECT_SCHEMA))

    negated = present.with_columns(-pl.col(name) for name in SUBJECT_SUMS)
    sums = _merged(pl.concat([renamed(wanted), renamed(negated)]))
    return sums.filter(pl.any_horizontal(pl.col(name) != 0 for name in SUBJECT_SUMS))


def _merged(deltas: pl.DataFrame) -> pl.DataFrame:
    return (
        deltas.group_by(SUBJECT_KEY)
        .agg(
            pl.col(SUBJECT_SUMS).sum(),
            pl.col("first_started_at").min(),
            pl.col("last_started_at", "last_ended_at", *_TEXTS).max(),
        )
        .select(list(SUBJECT_SCHEMA))
        .cast(dict(SUBJECT_SCHEMA))  # type: ignore[arg-type]
        .sort(SUBJECT_KEY)
    )


def _fold_kind(
    requests: pl.DataFrame, kind: str, fields: list[str], money: pl.Expr, most: int
) -> pl.DataFrame:
    subject = first_text(requests, fields)
    texts = {
        name: field for name, field in _FIELD_OF_TEXT.get(kind, {}).items() if field in requests
    }
    start, started = pl.col("started_at_us") // WINDOW_US * WINDOW_US, pl.col("started_at_us")
    ended = started + (pl.col("duration_ms") * 1000).round().cast(pl.Int64)
    named = requests.select(
        *_READ, *texts.values(), subject.alias("subject"), start.alias("window_start")
    )
    if named["subject"].null_count():  # a filter copies every column
        named = named.filter(pl.col("subject").is_not_null())
    deltas = (
        _capped(named, money, most)
        .group_by("window_start", "subject", "tenant", "service")
        .agg(
            pl.len().alias("requests"),
            (pl.col("status") == "error").sum().alias("errors"),
            pl.col("cost_pico_usd").is_null().sum().alias("unpriced"),
            pl.col("tool_calls_count").sum().alias("tool_calls"),
            pl.col("input_tokens").sum(),
            pl.col("output_tokens").sum(),
            money.sum().alias("cost_pico_usd"),
            started.min().alias("first_started_at"),
            started.max().alias("last_started_at"),
            ended.max().alias("last_ended_at"),
            *(pl.col(field).max().alias(f"of_{name}") for name, field in texts.items()),
        )
    )
    is_one = pl.col("subject") != OTHER
    known = [
        (
            pl.when(is_one).then(f"of_{name}").otherwise(pl.lit(""))
            if name in texts
            else pl.lit("")
        ).alias(name)
        for name in _TEXTS
    ]
    complete = deltas.with_columns(pl.lit(kind).alias("kind"), *known)
    return complete.select(list(SUBJECT_SCHEMA)).cast(dict(SUBJECT_SCHEMA))  # type: ignore[arg-type]


def _capped(named: pl.DataFrame, money: pl.Expr, most: int) -> pl.DataFrame:
    """Call all subjects but the first `most` OTHER."""
    if named.height <= most:
        return named
    # Exact sums, compared as floats: which subjects are named need not be right to the pico-dollar,
    # but the same when the batch is folded again.
    spent = money.sum().cast(pl.Float64).alias("spent")
    totals = named.group_by("subject").agg(spent, pl.len().alias("requests"))
    if totals.height <= most:
        return named
    # Only those that spend enough to be kept need to be put in order.
    least = np.partition(totals["spent"].to_numpy(), -most)[-most]
    kept = totals.filter(pl.col("spent") >= least)
    if kept.height > most:
        kept = kept.top_k(most, by=["spent", "requests", "subject"])
    is_kept = pl.col("subject").is_in(kept["subject"].implode())
    return named.with_columns(
        pl.when(is_kept).then(pl.col("subject")).otherwise(pl.lit(OTHER)).alias("subject")
    )
