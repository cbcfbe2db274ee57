"""How an SLO stands: what is left of its error budget, and how fast that goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tokentide_jobs.core.slo.slo import Slo, SloRule, rules_of
from tokentide_jobs.core.tables import HOUR_US, MINUTE_US
from tokentide_jobs.core.window.stored_ranges import StoredRanges

__all__ = ["SloBurn", "SloStatus", "WindowCounts", "count", "reads_of", "status_of"]


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Events of one stored window in the scope of an SLO.

    Attributes:
        start_us: Inclusive.
        end_us: Exclusive.
        total: Events that count.
        bad: Those of them that are not good.
    """

    start_us: int
    end_us: int
    total: int
    bad: int


@dataclass(frozen=True, slots=True)
class SloBurn:
    """A rule and the two burns it looks at."""

    rule: SloRule
    long: float
    short: float

    @property
    def is_burning(self) -> bool:
        """Tell whether both stretches burn faster than the factor."""
        return min(self.long, self.short) > self.rule.factor


@dataclass(frozen=True, slots=True, kw_only=True)
class SloStatus:
    """What a person asks about an SLO.

    Attributes:
        slo: Which.
        at_us: End of what was looked at: a full minute.
        total: Events of the window.
        bad: Those of them that are not good.
        burns: Of every rule, the fastest first.
    """

    slo: Slo
    at_us: int
    total: int
    bad: int
    burns: tuple[SloBurn, ...]

    @property
    def good_share(self) -> float | None:
        """Return the share of good events; None without events."""
        return 1.0 - self.bad / self.total if self.total else None

    @property
    def budget_left(self) -> float:
        """Return the share of the error budget that is left; below 0: more is used up."""
        return 1.0 - self.bad / (self.total * self.slo.allowed) if self.total else 1.0

    @property
    def burning(self) -> SloBurn | None:
        """Return the fastest rule that fires."""
        return next((burn for burn in self.burns if burn.is_burning), None)

    @property
    def verdict(self) -> Literal["ok", "no events", "burning", "missed"]:
        """Return how it stands."""
        if self.burning is not None:
            return "burning"
        if not self.total:
            return "no events"
        return "missed" if self.budget_left < 0 else "ok"

    @property
    def sentence(self) -> str:
        """Return how it stands in one sentence."""
        if not self.total:
            return f"SLO {self.slo.name} ({self.slo}): no events"
        left = (
            f"{100 * self.budget_left:.3g} % of the error budget left"
            if self.budget_left >= 0
            else f"the error budget is used up {1 - self.budget_left:.3g} times"
        )
        text = f"SLO {self.slo.name} ({self.slo}): {self.bad:,} of {self.total:,} bad, {left}"
        if (burn := self.burning) is not None:
            hours = burn.rule.long_s / 3_600
            text += f"; it burns {burn.long:.3g}x over {hours:.3g} h and {burn.short:.3g}x now"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the form of JSON."""
        slo = self.slo
        return {
            "name": slo.name,
            "scope": dict(slo.scope),
            "good": str(slo.good),
            "objective": slo.objective,
            "window_days": slo.window_days,
            "at_us": self.at_us,
            "verdict": self.verdict,
            "total": self.total,
            "bad": self.bad,
            "good_share": self.good_share,
            "budget_left": round(self.budget_left, 6),
            "burns": [
                {
                    "factor": burn.rule.factor,
                    "severity": burn.rule.severity,
                    "long_s": burn.rule.long_s,
                    "short_s": burn.rule.short_s,
                    "long": round(burn.long, 4),
                    "short": round(burn.short, 4),
                    "is_burning": burn.is_burning,
                }
                for burn in self.burns
            ],
            "sentence": self.sentence,
        }


def count(slo: Slo, row: dict[str, Any]) -> tuple[int, int]:
    """Return total and bad events of one window.

    Args:
        slo: Which.
        row: Columns of `slos/windows`.
    """
    good = slo.good
    if good.what == "errors":
        apart = 0 if good.counts_rate_limit else int(row["errors_rate_limit"])
        return int(row["requests"]) - apart, int(row["errors"]) - apart
    if good.what == "quality":
        scored = int(row["scored"])
        is_bad = scored and int(row["score_micro_sum"]) < good.limit * 1e6 * scored
        return scored, scored if is_bad else 0
    return int(row["timed"]), int(row["slow"])


def reads_of(slo: Slo, now_us: int) -> StoredRanges:
    """Return what to read: minutes for the stretches of the rules, hours for the rest.

    Scores are judged by the minute, so that an SLO of quality reads minutes alone.
    """
    end_us = now_us // MINUTE_US * MINUTE_US
    begin_us = (end_us - slo.window_days * 24 * HOUR_US) // HOUR_US * HOUR_US
    longest_us = max(rule.long_s for rule in rules_of(slo)) * 1_000_000
    fine_us = (end_us - longest_us) // HOUR_US * HOUR_US
    if slo.good.what == "quality" or fine_us <= begin_us:
        return StoredRanges((), ((min(begin_us, fine_us), end_us),))
    return StoredRanges(((begin_us, fine_us),), ((fine_us, end_us),))


def status_of(slo: Slo, windows: Sequence[WindowCounts], now_us: int) -> SloStatus:
    """Compute how an SLO stands.

    Args:
        slo: Which.
        windows: What `reads_of` asks for.
        now_us: The present; what began in this minute is left out.
    """
    end_us = now_us // MINUTE_US * MINUTE_US
    begin_us = (end_us - slo.window_days * 24 * HOUR_US) // HOUR_US * HOUR_US

    def sums(from_us: int) -> tuple[int, int]:
        within = [one for one in windows if from_us <= one.start_us < end_us]
        return sum(one.total for one in within), sum(one.bad for one in within)

    def burn(stretch_s: int) -> float:
        total, bad = sums(end_us - stretch_s * 1_000_000)
        return bad / total / slo.allowed if total >= max(1, slo.least_events) else 0.0

    burns = tuple(SloBurn(rule, burn(rule.long_s), burn(rule.short_s)) for rule in rules_of(slo))
    total, bad = sums(begin_us)
    return SloStatus(slo=slo, at_us=end_us, total=total, bad=bad, burns=burns)
