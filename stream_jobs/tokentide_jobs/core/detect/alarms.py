"""What detectors say of a window: alarms that change (tier B) and new extremes (tier A).

An alarm states why in one sentence made of its fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from tokentide_jobs.core.detect.window_metrics import METRICS, metric_at

__all__ = ["AlarmChange", "Extreme", "WindowReport", "name_of_test", "reason"]

Change = Literal["opened", "closed", "adopted"]

_RISES: Final = ("rise", "severe")


def name_of_test(metric: str, test: int) -> str:
    """Return what the test of this number is called for a metric."""
    scale = METRICS[metric_at(metric)].scale
    if metric == "requests":
        return ("rise", "drop")[test]
    if metric == "cache_hit_ratio":
        return ("none", "drop")[test]
    return _RISES[test] if scale == "arcsine" else ("up", "down")[test]


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """One alarm of one metric of one key that opened or ended in this window."""

    change: Change
    key: str
    metric: str
    test: str
    window_start_us: int
    value: float
    """What the test saw: a mean over several windows where each held little; NaN: nothing."""
    expected: float
    lower: float
    upper: float
    """Half-open band in which the test sees nothing."""
    n: float
    evidence: float
    threshold: float
    onset_us: int
    """Start of the window since which the evidence was never zero."""
    opened_us: int
    is_young: bool
    """The baseline is younger than a week: a ticket at most."""


@dataclass(frozen=True, slots=True)
class Extreme:
    """A value outside of the envelope: recorded and drawn, never notified."""

    key: str
    metric: str
    window_start_us: int
    value: float
    expected: float
    score: float
    """1: beyond an earlier extreme by the sensitivity, as a share of the envelope's width."""


@dataclass(frozen=True, slots=True)
class WindowReport:
    """Everything that one window gave rise to."""

    alarms: tuple[AlarmChange, ...]
    extremes: tuple[Extreme, ...]


def reason(alarm: AlarmChange) -> str:
    """Return one sentence: what, how much, against what, since when, on what evidence."""
    metric = METRICS[metric_at(alarm.metric)]
    since = _clock(alarm.onset_us)
    evidence = f"evidence {alarm.evidence:.1f} of {alarm.threshold:g}, n={alarm.n:.0f}"
    usual = f"usually {_amount(alarm.lower, metric.unit)} to {_amount(alarm.upper, metric.unit)}"
    if alarm.upper == float("inf"):
        usual = f"usually above {_amount(alarm.lower, metric.unit)}"
    name = f"{alarm.metric} of {alarm.key}"
    if alarm.change == "closed":
        lasted = (alarm.window_start_us - alarm.opened_us) / 60e6
        return (
            f"{name} is back to usual: the alarm of {_clock(alarm.opened_us)} ended after "
            f"{lasted:.0f} min"
        )
    if alarm.change == "adopted":
        return f"{name} has stayed away from what was expected for a day: it is the new normal"
    ratio = alarm.value / alarm.expected if alarm.expected > 0 else float("nan")
    times = f"{ratio:.2f} times the expected" if 0.01 < ratio < 1_000 else "far from the expected"
    return (
        f"{name} is {_amount(alarm.value, metric.unit)}, {times} "
        f"{_amount(alarm.expected, metric.unit)} ({usual}), since {since}; {evidence}"
    )


def _clock(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%H:%M")


def _amount(value: float, unit: str) -> str:
    if unit.startswith("of "):
        return f"{100 * value:.3g} %"
    text = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    return f"{text} {unit}"
