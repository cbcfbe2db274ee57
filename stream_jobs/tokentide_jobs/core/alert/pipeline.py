"""Findings about the pipeline itself: what is late, refused, unpriced, lost or silent.

Its time is the clock, since a stream that stands still has none. All are about one key, so that an
outage which shows in several of them is one incident. Every check says so when all is well again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tokentide_jobs.core.alert.finding import Dimensions, Evidence, Finding, Severity
from tokentide_jobs.core.alert.pipeline_rules import PipelineRules
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.counted import counted

__all__ = ["SHARES_OVER_US", "PartOfWhole", "SourceState", "share_findings", "silence_finding",
           "source_findings"]  # fmt: skip

_KEY: Final[Dimensions] = (("pipeline", "tokentide"),)
_MILLION: Final = 1_000_000
_NAMED: Final = 5

SharedMetric = Literal["dead_letters", "unpriced", "lost"]
SHARES_OVER_US: Final[Mapping[SharedMetric, int]] = {
    "dead_letters": 10 * MINUTE_US,
    "unpriced": 60 * MINUTE_US,
    "lost": 15 * MINUTE_US,
}
"""How far back each share is taken."""
_WHAT: Final[Mapping[SharedMetric, tuple[str, str]]] = {
    "dead_letters": ("events were refused and are dead letters", "events"),
    "unpriced": ("requests have no price, so more is spent than is said", "requests"),
    "lost": ("events were lost by producers", "events"),
}


@dataclass(frozen=True, slots=True)
class SourceState:
    """How far ingest has come with one partition, as it reports.

    Attributes:
        topic: That ingest reads.
        partition: Of it.
        arrived_us: Everything that had arrived by then is stored; None: it does not say.
        lag_records: Records that wait.
    """

    topic: str
    partition: int
    arrived_us: int | None
    lag_records: int


@dataclass(frozen=True, slots=True)
class PartOfWhole:
    """So many of so many, over the time that SHARES_OVER_US names."""

    part: int
    whole: int


def source_findings(
    sources: Sequence[SourceState], since_us: int, clock_us: int, rules: PipelineRules
) -> Iterator[Finding]:
    """Yield whether what arrives is stored in time.

    Args:
        sources: Every partition that ingest reads; none: it reported nothing yet.
        since_us: When watching began: nothing is late by more than the time since then.
        clock_us: The present.
        rules: What is expected.
    """
    ages = {one: clock_us - max(one.arrived_us or 0, since_us) for one in sources}
    late = [one for one in sources if ages[one] > rules.late_us]
    if late:
        worst = max(late, key=ages.__getitem__)
        sentence = (
            f"{len(late)} of {counted(len(sources), 'partition')} of the log have waited for up to "
            f"{_time(ages[worst])} to be stored, {worst.topic}/{worst.partition} longest: windows, "
            "runs and budgets are behind"
        )
        yield _fires("late", clock_us, ages[worst] / 1e6, rules.late_us / 1e6, "s", sentence)
    elif not sources and clock_us - since_us > rules.late_us:
        waited_us = clock_us - since_us
        sentence = f"ingest has said nothing for {_time(waited_us)}: nothing new is stored"
        yield _fires("late", clock_us, waited_us / 1e6, rules.late_us / 1e6, "s", sentence)
    else:
        yield _ends("late", clock_us, "what arrives is stored in time")
    most = max(sources, key=lambda one: one.lag_records, default=None)
    if most is not None and most.lag_records > rules.lag_records:
        sentence = (
            f"{counted(most.lag_records, 'record')} of {most.topic}/{most.partition} wait to be "
            f"stored, more than {rules.lag_records:,}"
        )
        yield _fires("lag", clock_us, most.lag_records, rules.lag_records, "records", sentence)
    else:
        yield _ends("lag", clock_us, "few records wait to be stored")


def share_findings(
    shares: Mapping[SharedMetric, PartOfWhole], clock_us: int, rules: PipelineRules
) -> Iterator[Finding]:
    """Yield whether too many events are refused, unpriced or lost.

    Args:
        shares: What was counted.
        clock_us: The present.
        rules: What is allowed.
    """
    allowed = {
        "dead_letters": (rules.dead_letters_ppm, rules.dead_letters),
        "unpriced": (rules.unpriced_ppm, rules.unpriced),
        "lost": (rules.lost_ppm, rules.lost),
    }
    for metric, share in shares.items():
        ppm, least = allowed[metric]
        became, noun = _WHAT[metric]
        if share.part < max(1, least) or share.part * _MILLION <= ppm * share.whole:
            yield _ends(metric, clock_us, f"few {noun} are")
            continue
        ratio = share.part / max(share.whole, share.part)
        minutes = SHARES_OVER_US[metric] // MINUTE_US
        sentence = (
            f"{share.part:,} of {share.whole:,} {became} ({100 * ratio:.3g} %) in {minutes} min; "
            f"{ppm / 10_000:g} % are allowed"
        )
        yield _fires(
            metric, clock_us, ratio, ppm / _MILLION, f"of {noun}", sentence, "ticket", share.whole
        )


def silence_finding(
    silent: Sequence[tuple[str, int]], until_us: int, clock_us: int, rules: PipelineRules
) -> Finding:
    """Return whether services fell silent whose producers always reported.

    Args:
        silent: Their names, each with the time of its last report.
        until_us: Everything that arrived by then is stored: later reports may be under way.
        clock_us: The present.
        rules: What is expected.
    """
    if not silent:
        return _ends("silent", clock_us, "they report again, or have been gone for a day")
    longest_us = until_us - min(last_us for _name, last_us in silent)
    names = [name or "(unnamed)" for name, _last_us in silent]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    sentence = (
        f"{counted(len(silent), 'service')} that always reported fell silent, up to "
        f"{_time(longest_us)} ago: {', '.join(names[:_NAMED])}{more}"
    )
    return _fires(
        "silent", clock_us, longest_us / 1e6, rules.silent_us / 1e6, "s", sentence, "ticket"
    )


def _fires(
    metric: str,
    at_us: int,
    value: float,
    allowed: float,
    unit: str,
    sentence: str,
    severity: Severity = "page",
    n: float | None = None,
) -> Finding:
    return Finding(
        change="fires",
        kind="pipeline",
        dimensions=_KEY,
        metric=metric,
        direction="up",
        at_us=at_us,
        sentence=sentence,
        evidence=Evidence(value=value, upper=allowed, unit=unit, n=n),
        severity=severity,
    )


def _ends(metric: str, at_us: int, sentence: str) -> Finding:
    return Finding(
        change="ends",
        kind="pipeline",
        dimensions=_KEY,
        metric=metric,
        direction="up",
        at_us=at_us,
        sentence=sentence,
    )


def _time(length_us: int) -> str:
    seconds = max(0, length_us) // 1_000_000
    if seconds < 120:
        return counted(seconds, "second")
    minutes = seconds // 60
    return counted(minutes, "minute") if minutes < 120 else counted(minutes // 60, "hour")
