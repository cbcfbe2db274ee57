"""Do four of five periods end inside of the forecast's interval, and is it better than a line?

Requests of 108 recorded clients stand for spend. Every client is a scope; at every midnight from
the seventh day on, the end of a period is forecast from what was known then and compared with
what came. The even-numbered clients were looked at while methods and margins were chosen, the odd
ones were not.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tokentide_jobs.core.forecast.forecast import Forecast, forecast
from tokentide_jobs.core.forecast.methods import WEEK_HOURS, Hours

__all__ = ["measure"]

_TRACE: Final = Path(__file__).parent / "data" / "servegen_m_mid_hourly.csv.gz"
_HOURS: Final = 336
_PERIODS: Final = {"14 days": 0, "second week": WEEK_HOURS}
"""Periods by the hour in which they begin; both end with the trace."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One forecast beside what came, relative to the actual total."""

    is_covered: bool
    width: float
    error: float
    line_error: float
    method: str


def measure() -> dict[str, object]:
    """Return coverage and errors by period, of all clients and of the ones held out."""
    clients = _clients()
    odd = {client: counts for client, counts in clients.items() if client % 2}
    return {
        name: {"all clients": _figures(clients, begin), "held out": _figures(odd, begin)}
        for name, begin in _PERIODS.items()
    }


def _clients() -> dict[int, Hours]:
    with gzip.open(_TRACE, "rt", encoding="ascii") as lines:
        rows = [[int(number) for number in line.split(",")] for line in lines]
    return {row[0]: np.array(row[1:], float) for row in rows if any(row[1:])}


def _figures(clients: Mapping[int, Hours], begin: int) -> dict[str, Any]:
    left_out: Counter[str] = Counter()
    outcomes: list[_Outcome] = []
    for counts in clients.values():
        for now in range(begin + 24, _HOURS, 24):
            made = _forecast(counts, begin, now)
            if not counts[begin:].any():
                left_out["nothing was spent"] += 1  # no error can be relative to it
            elif made.pico_usd is None:
                left_out[_reason(made)] += 1
            else:
                outcomes.append(_outcome(counts, begin, now, made))
    return {
        "pairs": len(outcomes),
        "left out": dict(left_out),
        "coverage of the 80 % interval": float(np.mean([one.is_covered for one in outcomes])),
        "width, median": float(np.median([one.width for one in outcomes])),
        "error": _spread([one.error for one in outcomes]),
        "error of a straight line": _spread([one.line_error for one in outcomes]),
        "methods": dict(Counter(one.method for one in outcomes)),
    }


def _forecast(counts: Hours, begin: int, now: int) -> Forecast:
    known = counts[:now]
    first = int(np.flatnonzero(known)[0]) if known.any() else now
    spent = int(counts[begin:now].sum())
    return forecast(spent, known[first:], _HOURS - now, now - begin)


def _outcome(counts: Hours, begin: int, now: int, made: Forecast) -> _Outcome:
    actual, spent = counts[begin:].sum(), counts[begin:now].sum()
    line = spent * (_HOURS - begin) / (now - begin)
    assert made.pico_usd is not None
    assert made.low_pico_usd is not None
    assert made.high_pico_usd is not None
    return _Outcome(
        is_covered=made.low_pico_usd <= actual <= made.high_pico_usd,
        width=(made.high_pico_usd - made.low_pico_usd) / actual,
        error=abs(made.pico_usd - actual) / actual,
        line_error=abs(line - actual) / actual,
        method=made.method,
    )


def _reason(made: Forecast) -> str:
    return "short history" if "of history" in made.rests_on else "too little spend"


def _spread(errors: list[float]) -> dict[str, float]:
    return {
        "median": float(np.median(errors)),
        "p90": float(np.quantile(errors, 0.9)),
        "mean": float(np.mean(errors)),
    }
