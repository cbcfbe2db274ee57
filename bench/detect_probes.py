"""Calls under budgets, and how long it takes until the SDK's answer knows of each.

A service of its own thread: calls are spread over the run, and several may wait at a time.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import tokentide
from bench.detect_timeline import Call
from bench.progress import say

__all__ = ["Probe", "ask", "waits"]

_LONGEST_S: Final = 120.0


@dataclass(slots=True)
class Probe:
    """One budget, and the calls that were made under it."""

    number: int
    calls: list[Call] = field(default_factory=list)
    ended_s: float = 0.0
    spent_before: int = 0

    @property
    def budget(self) -> str:
        """Name of its budget."""
        return f"probe {self.number}"

    def call(self, telemetry: tokentide.Telemetry) -> None:
        """Make a call."""
        self.spent_before = telemetry.budget(self.budget).spent_pico_usd
        call = telemetry.request(
            provider="openai", request_model="gpt-4o", tenant=f"probe-{self.number}",
            input_tokens=10_000, output_tokens=10, usage_source="provider",
        )  # fmt: skip
        with call:
            pass
        self.ended_s = time.time()

    def look(self, telemetry: tokentide.Telemetry) -> bool:
        """Return whether the answer knows of the call, or never will."""
        known = telemetry.budget(self.budget)
        waited_s = time.time() - self.ended_s
        if known.spent_pico_usd == self.spent_before and waited_s < _LONGEST_S:
            return False
        if waited_s >= _LONGEST_S:
            say(f"{self.budget}: {known}")
        self.calls.append(
            Call(f"probe-{self.number}", self.budget, self.ended_s, self.ended_s + waited_s)
        )
        return True


def ask(bootstrap: str, probes: Sequence[Probe], seconds: float) -> None:
    """Make calls under budgets, now and then, and ask until the answers know of them.

    Args:
        bootstrap: Brokers.
        probes: Each gets two calls.
        seconds: Over which their first calls are spread.
    """
    telemetry = tokentide.Telemetry(service="bench", bootstrap=bootstrap, read_control=True)
    telemetry.budget("probe 0")  # begins the reading
    time.sleep(60)  # groups are joined, and the history is learned
    begun_s, pause_s = time.monotonic(), seconds / len(probes)
    due = [(number * pause_s, number) for number in range(len(probes))]
    waiting: list[Probe] = []
    while due or waiting:
        while due and time.monotonic() - begun_s >= due[0][0]:
            probe = probes[due.pop(0)[1]]
            probe.call(telemetry)
            waiting.append(probe)
        for probe in [one for one in waiting if one.look(telemetry)]:
            waiting.remove(probe)
            if len(probe.calls) == 1:
                # At another phase of whatever is published by the clock.
                after_s = time.monotonic() - begun_s + 1 + probe.number % 10 / 10
                bisect.insort(due, (after_s, probe.number))
        time.sleep(0.02)
    telemetry.close()


def waits(probes: Iterable[Probe], which: int) -> list[float]:
    """Return the seconds that the answers to first (0) or second (1) calls took."""
    calls = [probe.calls[which] for probe in probes if len(probe.calls) > which]
    return [call.known_s - call.ended_s for call in calls]
