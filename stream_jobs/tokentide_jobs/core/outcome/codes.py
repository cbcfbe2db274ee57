"""Codes, kinds of errors and reasons that are words: what was written instead is not stored.

The SDK passes on only codes that providers document, and kinds of its own list. Others may put a
provider's message there, and with it a piece of a prompt. The event stays, the text goes, and that
is counted. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

import polars as pl

from tokentide_schemas.fields import CODE_PATTERN, REASON_PATTERN

__all__ = ["CLEARED", "stored_words", "without_texts"]

_INSTEAD: Final = {"error_code": "", "error_type": "unknown"}
"""What is stored in the place of a text: that an error had a kind is known, its kind is not."""

_REASONS: Final = "finish_reasons"
_OTHER: Final = "other"
"""Where no reason is left: that the model stopped is known."""

CLEARED: Final = frozenset({*_INSTEAD, _REASONS})
"""Fields of which only words are stored."""

_IS_CODE: Final = re.compile(CODE_PATTERN)
_IS_REASON: Final = re.compile(REASON_PATTERN)


def stored_words(name: str, given: Any) -> Any:
    """Return what a row stores of one valid value of a field of `CLEARED`, as `without_texts`."""
    if isinstance(given, list):
        words = [text for text in given if _IS_REASON.fullmatch(text)]
        return words or [_OTHER] if len(words) < len(given) else given
    is_text = isinstance(given, str) and given != "" and not _IS_CODE.fullmatch(given)
    return _INSTEAD[name] if is_text else given


def without_texts(events: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Replace what is no word where a code or a reason belongs; return the rows, and how many."""
    events, of_codes = _without_code_texts(events)
    events, of_reasons = _without_reason_texts(events)
    return events, of_codes + of_reasons


def _without_code_texts(events: pl.DataFrame) -> tuple[pl.DataFrame, int]:
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


def _without_reason_texts(events: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    if _REASONS not in events.columns:
        return events, 0
    # Most events have one of a few: it is looked at once, however often it occurs.
    given = events[_REASONS].explode().drop_nulls().unique()
    if given.str.contains(REASON_PATTERN).all():
        return events, 0
    reasons = pl.col(_REASONS)
    words = reasons.list.eval(pl.element().filter(pl.element().str.contains(REASON_PATTERN)))
    has_text = words.list.len() < reasons.list.len()
    kept = pl.when(words.list.len() == 0).then(pl.lit([_OTHER])).otherwise(words)
    replaced = int(events.select(has_text.sum()).item())
    mended = pl.when(has_text).then(kept).otherwise(reasons).alias(_REASONS)
    return events.with_columns(mended), replaced
