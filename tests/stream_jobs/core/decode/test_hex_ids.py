"""What is surely of an id's shape matches its pattern; everything else is left to the pattern."""

from __future__ import annotations

import re
import uuid
from random import Random

import polars as pl
import pytest

from tokentide_jobs.core.decode.hex_ids import SHAPES, all_match
from tokentide_schemas.fields import UUID_PATTERN


def ids(pattern: str, count: int) -> list[str]:
    chance = Random(1)
    found = [uuid.UUID(int=chance.getrandbits(128)) for _ in range(count)]
    width = SHAPES[pattern][0]
    return [str(one) if pattern == UUID_PATTERN else one.hex[:width] for one in found]


@pytest.mark.parametrize("pattern", SHAPES)
def test_ids_of_the_usual_shape_are_sure(pattern: str) -> None:
    values = ids(pattern, 50)
    assert all(re.fullmatch(pattern, value) for value in values)
    assert all_match(pl.Series(values), pattern)
    assert all_match(pl.Series(["x", *values])[1:], pattern)


# Beside each end of the two ranges of digits, and signs of more than one byte.
@pytest.mark.parametrize("sign", ["/", ":", "`", "g", "A", "-", " ", "\n", "é", "ÿ", "\0"])
@pytest.mark.parametrize("pattern", SHAPES)
def test_one_wrong_sign_anywhere_makes_a_column_unsure(pattern: str, sign: str) -> None:
    right = ids(pattern, 3)
    width, hyphens = SHAPES[pattern]
    for place in range(width):
        if sign == "-" and place in hyphens:
            continue
        wrong = right[1][:place] + sign + right[1][place + 1 :]
        assert not all_match(pl.Series([right[0], wrong, right[2]]), pattern)


@pytest.mark.parametrize("other", [None, "", "0", "é" * 16, "0" * 64])
@pytest.mark.parametrize("pattern", SHAPES)
def test_a_missing_id_or_one_of_another_length_makes_a_column_unsure(
    pattern: str, other: str | None
) -> None:
    assert not all_match(pl.Series([*ids(pattern, 2), other]), pattern)
