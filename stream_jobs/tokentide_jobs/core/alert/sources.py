"""Findings of every source: detectors, the run guard, budgets, SLOs.

Each function turns what its part of the core reports into a finding, with what it costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.alert.finding import Dimensions, Evidence, Finding, Impact, Severity
from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.spend import Notice
from tokentide_jobs.core.change.cause import Change, likely_causes
from tokentide_jobs.core.detect.alarms import AlarmChange, reason
from tokentide_jobs.core.detect.window_metrics import METRICS, metric_at
from tokentide_jobs.core.guard.steps import RunKey
from tokentide_jobs.core.guard.verdict import Rule, Verdict
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.slo.slo_status import SloStatus

__all__ = [
    "Traffic",
    "anomaly_finding",
    "budget_finding",
    "run_end",
    "run_finding",
    "slo_finding",
]

_PICO: Final = 10**12
_FAILURES: Final = ("error_ratio", "rate_limit_ratio", "refused_ratio")
_PRICES: Final = ("unit_price", "tokens_per_request")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a key does in a minute, in the window of an alarm: from it follows what it costs."""

    cost_usd_per_minute: float
    requests_per_minute: float


def anomaly_finding(
    alarm: AlarmChange,
    dimensions: Dimensions,
    window_s: int,
    traffic: Traffic,
    *,
    carriers: tuple[Dimensions, ...] = (),
    contributors: tuple[str, ...] = (),
    changes: Iterable[Change] = (),
    tests: int = 0,
) -> Finding:
    """Return the finding of an alarm of the detectors.

    Args:
        alarm: Opened, closed or adopted.
        dimensions: Its key.
        window_s: Length of its window.
        traffic: Of the key in that window.
        carriers: Wider keys that carried most of the key's requests.
        contributors: Narrower keys with a large share of the difference.
        changes: Of the last hours.
        tests: What could have fired in the same minute.
    """
    metric = METRICS[metric_at(alarm.metric)]
    opened = alarm.change == "opened"
    is_drop = alarm.value < alarm.expected if opened else alarm.test in ("down", "drop")
    since_us = alarm.onset_us if opened else alarm.opened_us
    return Finding(
        change="fires" if opened else "ends",
        kind="anomaly",
        dimensions=dimensions,
        metric=alarm.metric,
        direction="down" if alarm.test in ("down", "drop") else "up",
        at_us=alarm.window_start_us + window_s * 1_000_000,
        sentence=reason(alarm) if opened else _end_of(alarm),
        evidence=Evidence(
            value=_finite(alarm.value),
            expected=_finite(alarm.expected),
            lower=_finite(alarm.lower),
            upper=_finite(alarm.upper),
            unit=metric.unit,
            n=_finite(alarm.n),
            evidence=_finite(alarm.evidence),
            threshold=_finite(alarm.threshold),
            since_us=since_us,
        ),
        impact=_impact(alarm, traffic, is_drop=is_drop) if opened else Impact(),
        at_most="ticket" if alarm.is_young else "page",
        carriers=carriers,
        contributors=contributors,
        causes=likely_causes(changes, dimensions, since_us) if opened else (),
        tests=tests,
    )


def run_finding(verdict: Verdict, changes: Iterable[Change] = ()) -> Finding:
    """Return the finding of the run guard about a run.

    Args:
        verdict: What it says.
        changes: Of the last hours; those before the run and while it ran may explain it.
    """
    is_money = verdict.rule != "repeats"
    hourly = verdict.per_minute_pico_usd * 60
    return Finding(
        change="fires",
        kind="run",
        dimensions=_run(verdict.key),
        metric=verdict.rule,
        direction="up",
        at_us=verdict.at_us,
        sentence=verdict.sentence,
        evidence=Evidence(
            value=verdict.value / _PICO if is_money else verdict.value,
            expected=verdict.allowed / _PICO if is_money else verdict.allowed,
            unit="USD" if is_money else "repeated steps",
            n=verdict.calls,
        ),
        impact=Impact(pico_usd_per_hour=hourly),
        contributors=tuple(dict.fromkeys(verdict.tools)),
        causes=likely_causes(changes, verdict.about, verdict.began_us, verdict.at_us),
    )


def run_end(key: RunKey, rule: Rule, at_us: int) -> Finding:
    """Return that a run which broke a rule has ended.

    Args:
        key: The run.
        rule: Which it broke.
        at_us: When it counts as ended.
    """
    return Finding(
        change="ends",
        kind="run",
        dimensions=_run(key),
        metric=rule,
        direction="up",
        at_us=at_us,
        sentence="the run makes no more calls",
    )


def budget_finding(budget: Budget, notice: Notice) -> Finding:
    """Return what a notice of a budget says: a threshold is reached, or a new period began.

    All thresholds of one period are one alert, whose level is the percentage: each is announced.
    """
    is_reset = notice.what == "reset"
    period = budget.before(notice.period) if is_reset else notice.period
    amount = f"${_cents(budget.amount_pico_usd)}"
    spent = f"${_cents(notice.spent_pico_usd)}"
    sentence = (
        f"a new period began, {notice.period.label}; {spent} of {amount} were spent before"
        if is_reset
        else f"budget {budget.name} ({budget.scope}) has reached {notice.percent} % in "
        f"{notice.period.label}: {spent} of {amount}"
    )
    return Finding(
        change="ends" if is_reset else "fires",
        kind="budget",
        dimensions=(("budget", budget.name), *sorted(budget.scope.to_dict().items())),
        metric="spend",
        direction="up",
        period=f"{budget.revision}/{period.start_us}",
        at_us=notice.at_us,
        sentence=sentence,
        evidence=Evidence(
            value=notice.spent_pico_usd / _PICO,
            expected=budget.amount_pico_usd * notice.percent / 100 / _PICO,
            unit="USD",
            since_us=notice.at_us,
        ),
        severity=_budget_severity(budget, notice.percent),
        level=notice.percent,
        until_us=0 if is_reset else period.end_us,
    )


def slo_finding(status: SloStatus, changes: Iterable[Change] = ()) -> Finding:
    """Return how an SLO stands: its error budget burns, or it does not.

    Args:
        status: How it stands.
        changes: Of the last hours.
    """
    burn = status.burning
    shown = burn or status.burns[-1]
    since_us = status.at_us - shown.rule.short_s * 1_000_000
    return Finding(
        change="fires" if burn else "ends",
        kind="slo",
        dimensions=(("slo", status.slo.name), *status.slo.scope),
        metric="burn",
        direction="up",
        at_us=status.at_us,
        sentence=status.sentence if burn else "its error budget burns slowly enough",
        evidence=Evidence(
            value=shown.long,
            expected=1.0,
            upper=shown.rule.factor,
            unit="times",
            n=float(status.total),
            since_us=since_us,
        ),
        severity=shown.rule.severity,
        causes=likely_causes(changes, status.slo.scope, since_us) if burn else (),
    )


def _impact(alarm: AlarmChange, traffic: Traffic, *, is_drop: bool) -> Impact:
    """Return what it costs: dollars beyond the expected, requests that fail or are missing."""
    share = 1 - alarm.expected / alarm.value if alarm.value > 0 else 0.0
    hourly = traffic.cost_usd_per_minute * 60
    dollars, failed = 0.0, 0.0
    if alarm.metric == "cost_usd_per_minute":
        dollars = (alarm.value - alarm.expected) * 60
    elif alarm.metric in _PRICES or (alarm.metric == "requests" and not is_drop):
        dollars = hourly * share
    elif alarm.metric == "requests":
        failed = alarm.expected - alarm.value
    elif alarm.metric in _FAILURES:
        failed = (alarm.value - alarm.expected) * traffic.requests_per_minute
    return Impact(
        pico_usd_per_hour=round(max(0.0, _finite(dollars) or 0.0) * _PICO),
        failed_per_minute=round(max(0.0, _finite(failed) or 0.0), 3),
    )


def _end_of(alarm: AlarmChange) -> str:
    if alarm.change == "adopted":
        return "it has lasted for a day and is the new normal"
    return "it is back to usual"


def _run(key: RunKey) -> Dimensions:
    return (("tenant", key.tenant), ("run", key.run)) if key.tenant else (("run", key.run),)


def _budget_severity(budget: Budget, percent: int) -> Severity:
    if percent < 80:
        return "info"
    return "page" if percent >= 100 and budget.kind == "hard" else "ticket"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cents(pico_usd: int) -> str:
    return f"{float(usd(pico_usd)):,.2f}"
