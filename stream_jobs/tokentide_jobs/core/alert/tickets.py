"""Many tickets a day: the order to read them in, and a cut that bounds the share of false ones.

Evidence of the detectors is the logarithm of a likelihood ratio that restarts at zero. Its
exponential is at most the sum of the ratios from every beginning, whose expectation after T windows
is T where nothing is wrong; so exp(evidence) / T is an e-value. e-BH keeps the k largest of m where
the k-th is at least m / (rate * k): of those kept, at most the rate is false on average, however
the tests depend on each other (Wang and Ramdas 2022). A test with six windows a minute has 6 T of
them, and an e-value of exp(evidence) / (6 T). e-BH allows to weigh it six times where m counts it
as six tests: then it is divided by T as all others are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Ranked", "rank_tickets"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ticket in its place.

    Attributes:
        place: In what was given.
        log_e: Logarithm of its e-value.
        is_kept: It is above the cut.
    """

    place: int
    log_e: float
    is_kept: bool


def rank_tickets(
    evidence: Sequence[float], windows: int, tests: int, rate: float = 0.1
) -> list[Ranked]:
    """Order tickets, the strongest first, and cut.

    Args:
        evidence: Of each at its opening.
        windows: In which each test could have opened one, such as the minutes of a day.
        tests: Tests that could have, tickets or not: metrics of keys that were watched. One that
            could open one several times in such a window counts as often.
        rate: Share of false ones among those kept, at most, on average.
    """
    log_e = [one - math.log(windows) for one in evidence]
    order = sorted(range(len(log_e)), key=lambda place: (-log_e[place], place))
    hypotheses = max(tests, len(log_e))
    kept = 0
    for number, place in enumerate(order, 1):
        if log_e[place] >= math.log(hypotheses / (rate * number)):
            kept = number
    return [Ranked(place, log_e[place], number <= kept) for number, place in enumerate(order, 1)]
