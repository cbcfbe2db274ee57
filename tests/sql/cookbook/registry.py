"""Which computation without SQL stands beside which question of the cookbook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from tests.sql.cookbook.stored import Stored

Computation = Callable[[Stored], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question must be answered with.

    Attributes:
        compute: Gives the rows, in any order; money as integers of pico-dollars.
        unknown: Columns whose values depend on the machine or on the clock of the server.
    """

    compute: Computation
    unknown: frozenset[str] = field(default_factory=frozenset)


ANSWERS: Final[dict[str, Answer]] = {}


def answers(question: str, unknown: str = "") -> Callable[[Computation], Computation]:
    """Put a computation beside a question."""

    def note(compute: Computation) -> Computation:
        assert question not in ANSWERS, f"two computations for {question!r}"
        ANSWERS[question] = Answer(compute, frozenset(unknown.split()))
        return compute

    return note
