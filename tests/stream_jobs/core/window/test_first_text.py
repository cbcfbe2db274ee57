"""The first text of several columns is that of each row, whatever the other rows hold."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest

from tokentide_jobs.core.window.first_text import first_text

NAMES = ("run_id", "conversation_id", "trace_id")
TEXTS = ("", "a", None)


def first_of(row: tuple[str | None, ...]) -> str | None:
    return next((text for text in row if text), None)


# Pairs of rows make every column empty, full or mixed.
@pytest.mark.parametrize("first", list(product(TEXTS, repeat=3)), ids=str)
def test_the_first_text_of_a_row_is_chosen(first: tuple[str | None, ...]) -> None:
    for second in product(("", "b", None), repeat=3):
        rows = [first, second]
        frame = pl.DataFrame(rows, schema=dict.fromkeys(NAMES, pl.String()), orient="row")
        found = frame.select(first_text(frame, NAMES).alias("text"), pl.col("run_id"))
        assert found["text"].to_list() == [first_of(row) for row in rows]


def test_without_columns_there_is_no_text() -> None:
    frame = pl.DataFrame({"other": ["a", "b"]})
    found = frame.select(first_text(frame, ()).alias("text"), pl.col("other"))
    assert found["text"].to_list() == [None, None]
