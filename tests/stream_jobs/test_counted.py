"""A count and its noun."""

from __future__ import annotations

import pytest

from tokentide_jobs.counted import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 batches"), (1, "1 batch"), (2, "2 batches"), (12_345, "12,345 batches")],
)
def test_the_noun_agrees_with_the_count(number: int, text: str) -> None:
    assert counted(number, "batch", "batches") == text


def test_most_plurals_are_made_by_an_s() -> None:
    assert (counted(1, "row"), counted(2, "row")) == ("1 row", "2 rows")
