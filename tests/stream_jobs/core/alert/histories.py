"""Findings for the tests of alerts: one by one, and random histories of them."""

from __future__ import annotations

from random import Random
from typing import Any

from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.finding import Finding, Impact

MINUTE_US = 60_000_000
NOW_US = 1_790_000_000_000_000

PROVIDER = (("provider", "openai"),)
MODEL = (("provider", "openai"), ("model", "gpt-5"))
TENANT = (("tenant", "acme"),)


def finding(**changed: Any) -> Finding:
    """Return a finding of errors at a provider, changed as asked for."""
    fields: dict[str, Any] = {
        "change": "fires",
        "kind": "anomaly",
        "dimensions": PROVIDER,
        "metric": "error_ratio",
        "direction": "up",
        "at_us": NOW_US,
        "sentence": "error_ratio of provider openai is 40 %, 20 times the expected",
    }
    return Finding(**{**fields, **changed})


def dollars_an_hour(amount: float) -> Impact:
    return Impact(pico_usd_per_hour=int(amount * 10**12))


def history(seed: int) -> list[tuple[int, list[Finding]]]:
    """Return steps of time and findings: things that fire, get worse, end and come back."""
    chance = Random(seed)
    keys = [PROVIDER, MODEL, TENANT, *((("tenant", f"t{number}"),) for number in range(9))]
    busy, at_us = chance.choice([0.1, 0.5]), NOW_US
    steps: list[tuple[int, list[Finding]]] = []
    for _ in range(40):
        at_us += chance.choice([0, 1, 2, 5, 10, 25]) * MINUTE_US
        found = [
            finding(
                change=chance.choice(["fires", "fires", "ends"]),
                kind=kind,
                dimensions=dimensions,
                metric=metric,
                at_us=at_us,
                impact=dollars_an_hour(chance.choice([0, 10, 100])),
                carriers=(PROVIDER,) if dimensions == TENANT else (),
            )
            for kind in ("anomaly", "run")
            for dimensions in keys
            for metric in ("error_ratio", "requests")
            if chance.random() < busy / 5
        ]
        steps.append((at_us, found))
    return [*steps, (at_us + 60 * MINUTE_US, [])]


SEEDS = range(12)
RULES = AlertRules(pending_us={"run": 2 * MINUTE_US})
"""Runs have to last, so that everything happens to stream kinds that may happen."""
