"""What was decided on the stream, as findings that alerts are made of."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tokentide_jobs.core.alert.finding import Dimensions, Finding
from tokentide_jobs.core.alert.sources import (
    Traffic,
    anomaly_finding,
    budget_finding,
    run_end,
    run_finding,
)
from tokentide_jobs.core.decide.contributors import providers_of_models
from tokentide_jobs.core.decide.decisions import Decisions, JudgedWindow
from tokentide_jobs.core.detect.window_metrics import REQUESTS
from tokentide_jobs.core.guard.verdict import Rule
from tokentide_jobs.core.merge.key_levels import dimensions_of
from tokentide_jobs.core.merge.open_windows import WindowFigures

__all__ = ["alert_findings"]

_RULES: Final[tuple[Rule, ...]] = ("spend_rate", "budget", "repeats", "no_growth")
_MOST: Final = 0.5
"""What carried at least this share of a key's requests is its carrier."""


def alert_findings(found: Decisions) -> Iterator[Finding]:
    """Yield a finding for everything in these decisions that may need attention."""
    for window in found.windows:
        if window.judged.alarms:
            yield from _of_window(window)
    for one in found.verdicts:
        # A run of long ago is not followed, so its end is never reported.
        found_now = run_finding(one.verdict, one.changes)
        yield replace(found_now, is_history=one.is_history, is_over=one.is_history)
    for run in found.runs:
        if run.is_over:
            yield from (run_end(run.key, rule, run.at_us) for rule in _RULES)
    for noted in found.notices:
        yield replace(budget_finding(noted.budget, noted.notice), is_history=noted.is_history)


def _of_window(window: JudgedWindow) -> Iterator[Finding]:
    sums, window_s = window.sums, window.length_us // 1_000_000
    places = {key: place for place, key in enumerate(sums.keys)}
    carried = _Carriers(sums)
    for alarm in window.judged.alarms:
        dimensions = tuple(dimensions_of(alarm.key).items())
        traffic = Traffic(0.0, 0.0)
        if (place := places.get(alarm.key)) is not None:
            requests = float(sums.values[REQUESTS, place])
            traffic = Traffic(
                float(sums.cost_usd[place]) * 60 / window_s,
                0.0 if math.isnan(requests) else requests,
            )
        yield anomaly_finding(
            alarm,
            dimensions,
            window_s,
            traffic,
            carriers=carried.of(dict(dimensions)) if alarm.change == "opened" else (),
            contributors=window.contributors.get((alarm.key, alarm.metric), ()),
            changes=window.changes,
            tests=window.tests,
        )


class _Carriers:
    """Which providers and models carried the requests of tenants, by the keys of one window.

    Args:
        sums: Of the window; what it lacks (a level that is not watched) carries nothing.
    """

    def __init__(self, sums: WindowFigures) -> None:
        self._sums = sums
        self._by_tenant: dict[str, dict[str, float]] | None = None
        self._provider_of: dict[str, str] = {}

    def of(self, dimensions: dict[str, str]) -> tuple[Dimensions, ...]:
        """Return the wider keys that carried most of a tenant's requests; of other keys none."""
        if "tenant" not in dimensions or "provider" in dimensions:
            return ()
        if self._by_tenant is None:
            self._by_tenant = self._read()
            self._provider_of = providers_of_models(self._sums)
        models = self._by_tenant.get(dimensions["tenant"], {})
        if "model" in dimensions:
            models = {dimensions["model"]: 1.0}
        shares: dict[Dimensions, float] = defaultdict(float)
        for model, requests in models.items():
            if model in self._provider_of:
                provider = self._provider_of[model]
                shares[("provider", provider),] += requests
                shares[("provider", provider), ("model", model)] += requests
        least = _MOST * sum(models.values())
        return tuple(key for key, requests in shares.items() if requests >= least > 0)

    def _read(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = defaultdict(dict)
        requests = self._sums.values[REQUESTS].tolist()
        for key, number in zip(self._sums.keys, requests, strict=True):
            named = dimensions_of(key)
            if named.keys() == {"tenant", "model"} and not math.isnan(number):
                found[named["tenant"]][named["model"]] = number
        return found
