"""The model's constraints as column expressions: which parsed rows are not certainly valid.

Field bounds come from `columns.COLUMNS`; the rules between fields repeat the model validators one
by one (`CROSS_FIELD_RULES` names the validator each stands for, and a test checks that none is
missing). A row that is marked here goes to the judge, so a check may be stricter than the model,
never looser.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Final

import polars as pl

from tokentide_jobs.core.decode.columns import COLUMNS, Column
from tokentide_jobs.core.decode.hex_ids import SHAPES, all_match
from tokentide_jobs.core.decode.judge import AcceptedWindow
from tokentide_schemas.events import DISJOINT, SUBSETS

Rules = Iterator[pl.Expr]


def suspicious_rows(frame: pl.DataFrame, event_type: str, window: AcceptedWindow) -> pl.Series:
    """Return one boolean a row of a frame of one event type: true where the judge must decide.

    Columns of the model that the frame lacks count as absent from every event.
    """
    rules = [*_field_rules(event_type, tuple(frame.columns)), *_window_rules(window)]
    rules += _id_rules(event_type, frame)
    # One pass asks whether a rule fires at all; masks are made only for those that do.
    is_broken = frame.select(rule.any().alias(str(i)) for i, rule in enumerate(rules)).row(0)
    broken = [rule for rule, any_row in zip(rules, is_broken, strict=True) if any_row]
    if not broken:
        return pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)
    mask = frame.select(pl.any_horizontal(rule.fill_null(False) for rule in broken))
    return mask.to_series()


def _window_rules(window: AcceptedWindow) -> Rules:
    started = pl.col("started_at_us")
    yield (started < window.from_us) | (started >= window.until_us)


def _id_rules(event_type: str, frame: pl.DataFrame) -> Rules:
    """Yield the patterns of ids that are not all of their usual shape."""
    for column in COLUMNS[event_type]:
        name, pattern = column.name, column.pattern
        if pattern is None or pattern not in SHAPES or name not in frame.columns:
            continue
        if not all_match(frame[name], pattern):
            yield ~pl.col(name).str.contains(pattern)


@cache
def _field_rules(event_type: str, present: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    """Return the rules of an event type for frames with these columns."""
    rules: list[pl.Expr] = []
    for column in COLUMNS[event_type]:
        if column.name in present:
            rules.extend(_bounds(column))
        elif column.is_required:
            rules.append(pl.lit(True))
    for make in CROSS_FIELD_RULES.get(event_type, {}).values():
        rules.extend(make(present))
    return tuple(rules)


def _bounds(column: Column) -> Rules:
    """Yield what the model's bounds of one field forbid; `nested` checks maps and lists."""
    value = pl.col(column.name)
    if column.is_required:
        yield value.is_null()
    if column.ge is not None:
        yield value < column.ge
    if column.gt is not None:
        yield value <= column.gt
    if column.le is not None:
        yield value > column.le
    if column.lt is not None:
        yield value >= column.lt
    if column.kind != "text" or column.name == "type":
        return
    if column.choices:
        yield ~value.is_in(column.choices)
    if column.pattern and column.pattern not in SHAPES:
        yield ~value.str.contains(column.pattern)
    if column.forbidden:
        yield value.str.contains(column.forbidden)
    # A text has at most as many characters as bytes; the judge counts the characters.
    if column.max_length is not None:
        yield value.str.len_bytes() > column.max_length
    if column.min_length:
        yield value.str.len_bytes() < column.min_length


def _or_zero(name: str, present: Collection[str]) -> pl.Expr:
    return pl.col(name).fill_null(0) if name in present else pl.lit(0)


def _is_absent(name: str, present: Collection[str]) -> pl.Expr:
    return pl.col(name).is_null() if name in present else pl.lit(True)


def _subset_rules(present: Collection[str]) -> Rules:
    """Hold details to totals, a success to its usage, and the first token to the end."""
    for detail, total in SUBSETS:
        if detail in present:
            yield pl.col(detail).fill_null(0) > _or_zero(total, present)
    for parts, total in DISJOINT:
        reported = [part for part in parts if part in present]
        if len(reported) > 1:
            summed = pl.sum_horizontal(_or_zero(part, present) for part in reported)
            yield summed > _or_zero(total, present)
    is_silent = pl.lit(True)
    for name in ("input_tokens", "output_tokens", "other_units"):
        is_silent &= _is_absent(name, present)
    if "status" in present:
        says_nothing = is_silent & (pl.col("status") == "ok")
        if "usage_source" in present:
            says_nothing &= pl.col("usage_source").fill_null("provider") == "provider"
        yield says_nothing
    if "ttft_ms" in present and "duration_ms" in present:
        yield pl.col("ttft_ms") > pl.col("duration_ms")


def _target_rules(present: Collection[str]) -> Rules:
    """Require that a judgement names what it judges."""
    has_target = pl.lit(False)
    for name in ("target_event_id", "response_id", "conversation_id"):
        if name in present:
            has_target |= pl.col(name).fill_null("") != ""
    yield ~has_target


CROSS_FIELD_RULES: Final[
    Mapping[str, Mapping[str, Callable[[Collection[str]], Iterator[pl.Expr]]]]
] = {
    "request": {"_details_are_subsets": _subset_rules},
    "evaluation": {"_has_a_target_and_a_verdict": _target_rules},
    "feedback": {"_has_a_target_and_a_verdict": _target_rules},
}
"""Event type -> model validator -> the same rule over columns."""
