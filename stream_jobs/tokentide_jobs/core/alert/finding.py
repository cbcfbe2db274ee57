"""What alerts are made of: a finding states that something is wrong, or that it is over.

Detectors, the run guard, budgets, SLOs and the watch over the pipeline all report findings, so
that one lifecycle serves them all. A finding explains itself: a sentence, and the same in fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from tokentide_jobs.core.change.cause import Cause
from tokentide_jobs.core.digest import digest
from tokentide_jobs.core.money import usd

__all__ = [
    "SEVERITIES",
    "Dimensions",
    "Evidence",
    "Finding",
    "Impact",
    "Kind",
    "Severity",
    "key_text",
]

Kind = Literal["anomaly", "run", "budget", "slo", "pipeline", "storm", "test"]
Severity = Literal["info", "ticket", "page"]
Direction = Literal["up", "down", ""]
Dimensions = tuple[tuple[str, str], ...]
"""Name and value of what a thing is about: `(("provider", "openai"), ("model", "gpt-5"))`."""

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "ticket", "page")
"""The least first."""


def key_text(dimensions: Dimensions) -> str:
    """Return the dimensions as people read them: `provider openai, model gpt-5`."""
    return ", ".join(f"{name} {value or '(none)'}" for name, value in dimensions) or "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What it costs while it lasts, as far as is known: it decides the severity.

    Attributes:
        pico_usd_per_hour: Spend beyond the expected.
        failed_per_minute: Requests that fail beyond the expected.
    """

    pico_usd_per_hour: int = 0
    failed_per_minute: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen, and against what. None: there is no such number.

    Attributes:
        value: What was observed.
        expected: What was expected instead, or allowed.
        lower: Begin of the band that is usual.
        upper: End of it.
        unit: Of these four.
        n: Observations behind the value.
        evidence: What a test added up.
        threshold: What it needs.
        since_us: Since when; 0: since the finding.
    """

    value: float | None = None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    n: float | None = None
    evidence: float | None = None
    threshold: float | None = None
    since_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something is wrong with one metric of one key, or it no longer is.

    Attributes:
        change: `fires`: it is wrong, for the first time or still; `ends`: no longer.
        kind: Who found it.
        dimensions: The key: what it is about.
        metric: What of it; a rule of the run guard, `spend` of a budget, `burn` of an SLO.
        direction: Of the metric.
        period: Where each period has an alert of its own, as with budgets: which.
        at_us: Event time, such as the end of the window.
        until_us: When it is over by itself, such as the end of a period; 0: not known.
        sentence: What, how much, against what, since when, in plain English.
        evidence: The same in fields.
        impact: What it costs.
        severity: Where the source of the finding knows it; None: by impact.
        at_most: A ceiling of the severity, such as `ticket` for a young baseline.
        level: Grows with how bad it is; a level above the one announced is announced again.
        is_history: Of a backfill or an import: recorded and never announced.
        is_over: It was over when it was found, and no end will come: one record, no live alert.
        carriers: Wider keys that carried most of it: the provider and model of a tenant's requests.
            Their alert of the same metric absorbs this one, as that of part of its dimensions does.
        contributors: Narrower keys with a large share of it; of a run its last tools.
        causes: Changes that may explain it, the likeliest first.
        tests: What could have fired in the same minute: metrics of keys that were watched, each as
            often as its windows close in a minute. 0: unknown.
    """

    change: Literal["fires", "ends"]
    kind: Kind
    dimensions: Dimensions
    metric: str
    direction: Direction = ""
    period: str = ""
    at_us: int
    sentence: str
    evidence: Evidence = Evidence()
    impact: Impact = Impact()
    severity: Severity | None = None
    at_most: Severity = "page"
    level: int = 0
    is_history: bool = False
    is_over: bool = False
    carriers: tuple[Dimensions, ...] = ()
    contributors: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = field(default=())
    tests: int = 0
    until_us: int = 0

    @property
    def key(self) -> str:
        """Return the key as people read it."""
        return key_text(self.dimensions)

    @property
    def explained(self) -> str:
        """Return the sentence with what made it up, and what may have led to it."""
        explained = self.sentence
        if self.contributors and self.kind == "anomaly":
            explained += f"; most of it in {' and in '.join(self.contributors)}"
        if self.causes:
            explained += f"; perhaps {self.causes[0]}"
        return explained

    @property
    def identity(self) -> str:
        """Return the name of what is wrong: all findings of it share one alert at a time."""
        return self.identity_of(self.dimensions)

    def identity_of(self, dimensions: Dimensions) -> str:
        """Return the identity of the same about another key."""
        return digest(self.kind, sorted(dimensions), self.metric, self.direction, self.period)

    @property
    def fields(self) -> Mapping[str, str]:
        """Return what silences are matched on."""
        own = {"kind": self.kind, "key": self.key, "metric": self.metric}
        return {**dict(self.dimensions), **own}

    def to_dict(self) -> dict[str, Any]:
        """Return everything that explains it in the form of JSON; money as exact USD texts."""
        return {
            "kind": self.kind,
            "key": self.key,
            "dimensions": dict(self.dimensions),
            "metric": self.metric,
            "direction": self.direction,
            "period": self.period,
            "level": self.level,
            "sentence": self.sentence,
            **asdict(self.evidence),
            "impact_usd_per_hour": usd(self.impact.pico_usd_per_hour),
            "impact_failed_per_minute": self.impact.failed_per_minute,
            "contributors": list(self.contributors),
            "causes": [cause.to_dict() for cause in self.causes],
        }
