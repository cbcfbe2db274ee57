"""What a browser asks is held to bounds, and each refusal names its field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.each import each
from tokentide_dashboards.viewer.question import read_question
from tokentide_dashboards.viewer.refused import Refused

HOUR_MS = 3_600_000
ASKED: dict[str, Any] = {"from_ms": HOUR_MS, "to_ms": 2 * HOUR_MS, "points": 300}


def test_values_are_kept_as_they_are() -> None:
    asked = {**ASKED, "variables": {"model": ["a'b", "c\\d"], "run": "x$y"}}
    question = read_question(asked, frozenset({"model", "run"}))
    assert question.variables == {"model": ("a'b", "c\\d"), "run": "x$y"}
    assert (question.from_ms, question.to_ms, question.points) == (HOUR_MS, 2 * HOUR_MS, 300)


@each(
    ("change", "message"),
    [
        ({"from_ms": "1"}, "from_ms must be a whole number"),
        ({"from_ms": True}, "from_ms must be a whole number"),
        ({"to_ms": HOUR_MS}, "begin before it ends"),
        ({"to_ms": 500 * 24 * HOUR_MS}, "at most 400 days"),
        ({"points": 0}, "points must be a whole number"),
        ({"points": 100_000}, "points must be a whole number"),
        ({"variables": []}, "variables must be an object"),
        ({"variables": {"other": "x"}}, "no variable 'other'"),
        ({"variables": {"model": [1]}}, "variable model: a value is a text"),
        ({"variables": {"model": "x" * 501}}, "variable model: a value is a text"),
        ({"variables": {"model": ["x"] * 201}}, "variable model: at most 200 values"),
        ({"variables": {"model": "$tokentide$ OR 1"}}, "may not hold"),
        ({"variables": {"model": ["a", "$$"]}}, "may not hold"),
        ({"variables": {"model": "z$__timeFilter(1 UNION ALL SELECT 2 -- "}}, "may not hold"),
        ({"variables": {"model": "ends in $tokentide"}}, "may not hold"),
    ],
)
def test_what_is_out_of_bounds_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        read_question({**ASKED, **change}, frozenset({"model"}))
