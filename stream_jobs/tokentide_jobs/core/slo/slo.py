"""What an SLO is: which events count, which of them are good, and when their lack is worth a page.

Burn is the share of bad events beside the share that the objective allows. A rule fires when two
stretches burn faster than its factor (Site Reliability Workbook, "Alerting on SLOs"). Its stretches
are those of 30 days; other windows have theirs in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from tokentide_jobs.core.tables import HOUR_S, MINUTE_S
from tokentide_jobs.core.window.histogram import buckets_of

__all__ = ["FACTORS", "Good", "Slo", "SloRule", "rules_of", "unreachable"]

_WORKBOOK_DAYS: Final = 30
_SHORT_SHARE: Final = 12
"""A short stretch is one in so many of the long one: it shows that it is still going on."""
_LEAST_SHORT_S: Final = 2 * MINUTE_S

FACTORS: Final = (14.4, 6.0, 3.0, 1.0)
_LONG_S: Final = {14.4: HOUR_S, 6.0: 6 * HOUR_S, 3.0: 24 * HOUR_S, 1.0: 72 * HOUR_S}


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Which events count, and which are good.

    Attributes:
        what: `errors`: requests that do not fail; `latency_ms` and `ttft_ms`: requests that are as
            fast as `limit`, to one histogram bucket, which is 2 % wide; `quality`: evaluations
            with a score, of minutes whose mean score is at least `limit`.
        limit: Milliseconds or a score; of errors 0.
        counts_rate_limit: Errors of a rate limit are bad; else they do not count at all.
    """

    what: Literal["errors", "latency_ms", "ttft_ms", "quality"]
    limit: float = 0.0
    counts_rate_limit: bool = True

    @property
    def bucket(self) -> int:
        """Return the last bucket of the histogram that is good."""
        return int(buckets_of(np.array([max(self.limit, 0.0)]))[0])

    def __str__(self) -> str:
        if self.what == "errors":
            return "no error" + ("" if self.counts_rate_limit else ", rate limits apart")
        if self.what == "quality":
            return f"mean score of a minute at least {self.limit:g}"
        name = "answered" if self.what == "latency_ms" else "first token"
        return f"{name} within {self.limit:g} ms"


@dataclass(frozen=True, slots=True)
class SloRule:
    """Both stretches burn faster than `factor`: a page or a ticket."""

    factor: float
    long_s: int
    short_s: int
    severity: Literal["page", "ticket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """One entry of slos.yaml.

    Attributes:
        name: Unique in the file.
        scope: Value by dimension of the windows; all must be equal.
        good: Which events count and are good.
        objective: Share of good ones, more than 0 and below 1.
        window_days: Over so many days.
        factors: Of the rules that watch it, the fastest first.
        least_events: A stretch with fewer events burns nothing.
    """

    name: str
    scope: tuple[tuple[str, str], ...]
    good: Good
    objective: float
    window_days: int
    factors: tuple[float, ...] = FACTORS
    least_events: int = 50

    @property
    def allowed(self) -> float:
        """Return the share of bad events that the objective allows."""
        return 1.0 - self.objective

    def __str__(self) -> str:
        scope = ", ".join(f"{name} {value or '(none)'}" for name, value in self.scope)
        days = f"{self.window_days} d"
        return f"{100 * self.objective:g} % {self.good} in {days}, {scope or 'everything'}"


def rules_of(slo: Slo) -> tuple[SloRule, ...]:
    """Return the rules of an SLO, the fastest first."""
    found = []
    for factor in slo.factors:
        minutes = round(_LONG_S[factor] * slo.window_days / _WORKBOOK_DAYS / MINUTE_S)
        long_s = max(minutes * MINUTE_S, 2 * _LEAST_SHORT_S)
        short_s = max(_LEAST_SHORT_S, round(long_s / _SHORT_SHARE / MINUTE_S) * MINUTE_S)
        found.append(SloRule(factor, long_s, short_s, "page" if factor >= 6 else "ticket"))
    return tuple(found)


def unreachable(slo: Slo) -> tuple[float, ...]:
    """Return the factors that can never fire: with all events bad, burn is 1 / allowed."""
    return tuple(factor for factor in slo.factors if factor * slo.allowed >= 1.0)
