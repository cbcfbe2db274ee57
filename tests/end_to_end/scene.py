"""Hours of made-up traffic with declared incidents, as frames for Kafka, ending at a full hour.

Every incident has a provider or tenant of its own, so that an alarm says which one it is. The same
seed gives the same traffic; only the hour moves. `TOKENTIDE_TEST_HISTORY_H=76` makes the history
long enough for the rules as they are shipped, instead of those in RULES.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import yaml

HISTORY_H = int(os.environ.get("TOKENTIDE_TEST_HISTORY_H", "4"))
LASTS = 50
"""Minutes from the end of the history to the end of the scene."""
MINUTES = 60 * HISTORY_H + LASTS
MINUTE_US = 60_000_000
IS_SHORT = HISTORY_H < 73
RULES: dict[str, dict[str, Any]] = {
    "anomalies": {"levels": [["provider"], ["provider", "model"], ["tenant"], ["tenant", "model"]]},
    "run_guard": {"idle_minutes": 10},
    "alerts": {"storm_opens": 100, "history_minutes": 1440},
}
LEARNS_SOON = {"silent_days": 0.125, "learning_days": 0.125}
BUDGETS = "budgets: [{name: monthly, scope: {tenant: spender}, period: month, amount_usd: 1}]\n"
TENANTS_OF_MISTRAL = 40


def rules() -> str:
    """Return the rules as a file: as they are shipped, or learning soon from a short history."""
    anomalies = RULES["anomalies"] | (LEARNS_SOON if IS_SHORT else {})
    return yaml.safe_dump(RULES | {"anomalies": anomalies})


@dataclass(frozen=True)
class Incident:
    """Something that happens; minutes count from the end of the history."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        return self.begin <= minute - 60 * HISTORY_H < self.end


LONGER_PROMPT = Incident(5, LASTS)
DEARER_MODEL = Incident(6, LASTS)
BROWNOUT = Incident(10, 35)
RATE_LIMITS = Incident(12, 32)
OUTAGE = Incident(15, 40)
BATCH = Incident(16, LASTS)
SILENT_TENANT = Incident(20, LASTS)
FAST_LOOP = Incident(23, 25)
SLOW_LOOP = Incident(25, 33)
BUDGET = Incident(30, 31)


@dataclass
class Scene:
    """The traffic.

    Args:
        end_us: When it ends, at a full hour.
    """

    end_us: int
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))
    events: list[tuple[float, int, dict[str, Any]]] = field(init=False, default_factory=list)
    """Minute, partition, event; in the order of time."""

    def __post_init__(self) -> None:
        self._write()
        self.events.sort(key=lambda one: one[0])

    def at_us(self, minute: float) -> int:
        """Return the event time of a minute after the history."""
        return self.end_us - round((LASTS - minute) * MINUTE_US)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield partition and frame, in the order of time."""
        minutes = [minute for minute, _partition, _event in self.events]
        bounds = np.searchsorted(minutes, range(0, MINUTES + 1, 5))
        for begin, end in pairwise(bounds):
            for partition in (0, 1):
                lines = [
                    json.dumps(event, separators=(",", ":")).encode()
                    for _minute, number, event in self.events[begin:end]
                    if number == partition
                ]
                for first in range(0, len(lines), 1_000):
                    yield partition, b"\n".join(lines[first : first + 1_000])

    def _write(self) -> None:
        for minute in range(MINUTES):
            self._openai(minute)
            self._provider(minute, "google", "gemini-2.5-flash", ["maps"], 20, BROWNOUT)
            self._provider(minute, "anthropic", "claude-haiku-4-5", ["mail"], 12, RATE_LIMITS)
            tenants = [f"shop-{number}" for number in range(TENANTS_OF_MISTRAL)]
            self._provider(minute, "mistral", "mistral-small-2603", tenants, 40, OUTAGE)
        self._agents()
        for _call in range(8):
            self._call(self._minute(BUDGET), "openai", "gpt-4.1", "spender", input_tokens=100_000)

    def _openai(self, minute: int) -> None:
        """Tenants of one provider, each with a fate."""
        grown = 1 + 0.5 * min(1.0, max(0.0, (minute - 60 * HISTORY_H + 60) / (60 + LASTS)))
        rates = {
            "books": 10.0, "prices": 5.0, "plain": 30.0, "lagging": 10.0, "launch": 10 * grown,
            "billing": 20.0 if BATCH.holds(minute) else 5.0,
            "gone": 0.0 if SILENT_TENANT.holds(minute) else 10.0,
        }  # fmt: skip
        for tenant, rate in rates.items():
            for _call in range(self.random.poisson(rate)):
                at = minute + self.random.uniform()
                model, version, size = "gpt-4.1", "1", 1.0
                if tenant == "books" and LONGER_PROMPT.holds(minute):
                    version, size = "2", 2.0
                if tenant == "prices" and DEARER_MODEL.holds(minute):
                    model, version = "gpt-4o", "2"
                half = tenant == "lagging" and self.random.uniform() < 0.5
                self._call(
                    at, "openai", model, tenant, partition=int(half), size=size,
                    prompt_name="answer", prompt_version=version,
                )  # fmt: skip

    def _provider(
        self, minute: int, provider: str, model: str, tenants: list[str], rate: float,
        incident: Incident,
    ) -> None:  # fmt: skip
        ill = incident.holds(minute)
        for number in range(self.random.poisson(rate)):
            fields: dict[str, Any] = {}
            slow = 1.0
            luck = self.random.uniform()
            if ill and provider == "google":
                slow = 3.0
                fields = _failure("server_error", 503) if luck < 0.25 else {}
            elif ill and provider == "anthropic" and luck < 0.5:
                fields = _failure("rate_limit", 429)
            elif ill and provider == "mistral" and luck < 0.8:
                fields = _failure("overloaded", 529)
            elif luck < 0.003:
                fields = _failure("server_error", 500)
            tenant = tenants[(minute + number) % len(tenants)]
            at = minute + self.random.uniform()
            self._call(at, provider, model, tenant, slow=slow, **fields)

    def _agents(self) -> None:
        """Send runs of four dear steps all the time, and two that do not end."""
        for number, begin in enumerate(np.arange(0, MINUTES - 2, 0.4)):
            for step in range(4):
                tokens = int(self.random.integers(80_000, 120_000))
                self._step(begin + step / 4, f"run-{number}", tokens)
        for call in range(12):
            self._step(self._minute(FAST_LOOP) + call / 8, "fast-loop", 100_000)
        for call in range(14):
            self._step(self._minute(SLOW_LOOP) + call / 2, "slow-loop", 190_000 + call)

    def _step(self, minute: float, run: str, tokens: int) -> None:
        self._call(
            minute, "openai", "gpt-4.1", "robots", input_tokens=tokens, run_id=run,
            agent_name="critic",
        )  # fmt: skip

    def _minute(self, incident: Incident) -> float:
        return 60.0 * HISTORY_H + incident.begin

    def _call(
        self, minute: float, provider: str, model: str, tenant: str, *, partition: int = 0,
        size: float = 1.0, slow: float = 1.0, **fields: Any,
    ) -> None:  # fmt: skip
        event = {
            "type": "request", "event_id": str(uuid.UUID(bytes=self.random.bytes(16), version=4)),
            "started_at_us": self.at_us(minute - 60 * HISTORY_H), "service": "scene",
            "tenant": tenant, "provider": provider, "operation": "chat", "request_model": model,
            "status": "ok", "duration_ms": round(slow * self.random.lognormal(7, 0.25), 1),
            "input_tokens": int(size * self.random.lognormal(7, 0.3)),
            "output_tokens": int(self.random.lognormal(5, 0.3)), **fields,
        }  # fmt: skip
        if event["status"] == "error":
            del event["input_tokens"], event["output_tokens"]
        self.events.append((minute, partition, event))


def _failure(kind: str, http_status: int) -> dict[str, Any]:
    return {"status": "error", "error_type": kind, "http_status": http_status}
