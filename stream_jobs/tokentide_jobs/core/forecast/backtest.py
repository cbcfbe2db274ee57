"""How wrong each method would have been on the history it is given, and how sure that makes us.

Every twelve hours of the history after its first three days is taken for the present: what
followed is predicted from what was before, as far as the horizon asked for or the history
reaches. Errors are relative to the level at that moment, so that a growing scope is judged by its
present size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tokentide_jobs.core.forecast.methods import METHODS, WEEK_HOURS, Hours, Method, predict

__all__ = ["BackTest", "back_test", "chosen_method", "conformal_quantile"]

_EVERY_HOURS: Final = 12
_LEAST_HISTORY_HOURS: Final = 72
_MARGIN: Final = 1.25
"""A method replaces the first only if that one errs a quarter more: few back-tests are noisy."""


@dataclass(frozen=True, slots=True)
class BackTest:
    """What came of it.

    Attributes:
        errors: By method: actual less predicted, in units of the level times the horizon.
        longest_hours: The longest horizon that could be tested.
        independent: About how many of the tests do not overlap.
    """

    errors: dict[Method, Hours]
    longest_hours: int
    independent: float

    def __len__(self) -> int:
        """Return the number of back-tests."""
        return len(self.errors[METHODS[0]])


def back_test(history: Hours, hours: int, elapsed: int) -> BackTest:
    """Test every method on the history.

    Args:
        history: Spend by hour up to now.
        hours: The horizon that is asked for.
        elapsed: Hours since the period began.
    """
    now = len(history)
    errors: dict[Method, list[float]] = {method: [] for method in METHODS}
    longest = 0
    for past in range(now - _EVERY_HOURS, _LEAST_HISTORY_HOURS - 1, -_EVERY_HOURS):
        known, horizon = history[:past], min(hours, now - past)
        scale = known[-WEEK_HOURS:].mean() * horizon
        if scale <= 0:
            continue
        longest = max(longest, horizon)
        actual = history[past : past + horizon].sum()
        for method in METHODS:
            predicted = predict(method, known, horizon, elapsed).sum()
            errors[method].append((actual - predicted) / scale)
    tested = now - _LEAST_HISTORY_HOURS
    return BackTest(
        errors={method: np.array(found) for method, found in errors.items()},
        longest_hours=longest,
        independent=max(1.0, tested / min(hours, max(1, tested // 2))) if tested > 0 else 0.0,
    )


def chosen_method(test: BackTest) -> Method:
    """Return the method that erred least; the first, unless another is clearly better."""
    mean_error = {method: float(np.abs(found).mean()) for method, found in test.errors.items()}
    best = min(METHODS, key=mean_error.__getitem__)
    return best if mean_error[best] * _MARGIN < mean_error[METHODS[0]] else METHODS[0]


def conformal_quantile(errors: Hours, coverage: float, independent: float) -> float:
    """Return the size of error that the next one does not exceed with probability `coverage`.

    Split conformal: of n exchangeable errors the one of rank ceil((n + 1) * coverage). Back-tests
    overlap, so n is the number of those that do not; below 1 / (1 - coverage) of them no rank is
    high enough, and the largest error stands in.
    """
    count = min(float(len(errors)), independent)
    level = min(1.0, (count + 1) * coverage / count)
    ordered = np.sort(np.abs(errors))
    return float(ordered[min(len(ordered), math.ceil(level * len(ordered))) - 1])
