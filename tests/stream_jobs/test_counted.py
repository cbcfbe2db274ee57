"""A count and its noun; a list that may be long."""

from __future__ import annotations

import pytest

from tokentide_jobs.counted import counted, listed


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 batches"), (1, "1 batch"), (2, "2 batches"), (12_345, "12,345 batches")],
)
def test_the_noun_agrees_with_the_count(number: int, text: str) -> None:
    assert counted(number, "batch", "batches") == text


def test_most_plurals_are_made_by_an_s() -> None:
    assert (counted(1, "row"), counted(2, "row")) == ("1 row", "2 rows")


def test_of_a_long_list_the_first_are_named_and_the_others_counted() -> None:
    assert listed(["a"], 2) == "a"
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", *"c" * 1_000], 2) == "a, b and 1,000 further"
