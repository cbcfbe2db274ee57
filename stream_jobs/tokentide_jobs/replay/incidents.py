"""Declared faults in the last hour of recorded traffic: what is injected, when, and into what.

A fault changes calls that were recorded, or adds some; which alerts are about it is declared beside
it, so that what is found can be held against what was done.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide.ids import EventIds
from tokentide_jobs.replay.company import AGENTS
from tokentide_jobs.replay.events import Event
from tokentide_jobs.replay.week import SEARCH, SUPPORT

__all__ = ["INCIDENTS", "Incident", "injected"]

_MINUTE_S: Final = 60.0
_RUN: Final = "triage-4711"
_CALLS_PER_MINUTE: Final = 45
_FAILING_SHARE: Final = 0.3
_PROMPT_VERSION: Final = "v14"
(_SUPPORTED,) = SUPPORT.endpoints.items
(_SEARCHED,) = SEARCH.endpoints.items


@dataclass(frozen=True, slots=True)
class Incident:
    """One fault.

    Attributes:
        title: What is done.
        begin_s: So long before the end it begins.
        end_s: So long before the end it ends.
        fields: Dimensions with the values by which an alert is about it; one of them is enough.
    """

    title: str
    begin_s: float
    end_s: float
    fields: tuple[tuple[str, str], ...]

    def concerns(self, dimensions: Mapping[str, str]) -> bool:
        """Tell whether an alert with these dimensions is about it."""
        return any(dimensions.get(name) == value for name, value in self.fields)


_PROMPT: Final = Incident(
    f"prompt {_PROMPT_VERSION} of {SUPPORT.service} has twice the tokens", 58 * _MINUTE_S, 0.0,
    (("service", SUPPORT.service), ("provider", _SUPPORTED.provider)),
)  # fmt: skip
_BROWNOUT: Final = Incident(
    f"provider {_SEARCHED.provider}: calls take three times as long, {_FAILING_SHARE:.0%} fail",
    35 * _MINUTE_S, 15 * _MINUTE_S,
    (("provider", _SEARCHED.provider), ("service", SEARCH.service)),
)  # fmt: skip
_RUNAWAY: Final = Incident(
    f"run {_RUN} of an agent repeats one call of 48,000 tokens, {_CALLS_PER_MINUTE} times a minute",
    8 * _MINUTE_S, 2 * _MINUTE_S,
    (("run", _RUN), ("service", AGENTS.service), ("provider", "anthropic")),
)  # fmt: skip
INCIDENTS: Final = (_PROMPT, _BROWNOUT, _RUNAWAY)
"""In the order in which they begin."""


def injected(
    events: Iterable[tuple[float, Event]], span_s: float, seed: int
) -> Iterator[tuple[float, Event]]:
    """Yield events with the faults in them, in order of time.

    Args:
        events: Seconds since the beginning, and event, in order of time.
        span_s: When they end.
        seed: Decides which calls fail.
    """
    ids = EventIds()
    chance = random.Random(f"{seed}:incidents")  # noqa: S311 - a simulation, not a secret
    changed = ((at_s, _changed(event, span_s - at_s, chance)) for at_s, event in events)
    added = heapq.merge(_released(ids, span_s), _looping(ids, span_s), key=lambda one: one[0])
    return heapq.merge(changed, added, key=lambda one: one[0])


def _changed(event: Event, left_s: float, chance: random.Random) -> Event:
    if event["type"] != "request":
        return event
    if _holds(_PROMPT, left_s) and event["service"] == SUPPORT.service:
        event["prompt_version"] = _PROMPT_VERSION
        for name in ("input_tokens", "output_tokens"):
            if name in event:
                event[name] *= 2
    if _holds(_BROWNOUT, left_s) and event["provider"] == _SEARCHED.provider:
        for name in ("duration_ms", "ttft_ms"):
            if name in event:
                event[name] = round(event[name] * 3, 3)
        if chance.random() < _FAILING_SHARE:
            for name in ("input_tokens", "output_tokens", "ttft_ms", "finish_reasons"):
                event.pop(name, None)
            event |= {
                "status": "error", "error_type": "overloaded", "error_code": "overloaded_error",
                "http_status": 503, "usage_source": "missing",
            }  # fmt: skip
    return event


def _holds(incident: Incident, left_s: float) -> bool:
    return incident.end_s < left_s <= incident.begin_s


def _released(ids: EventIds, span_s: float) -> Iterator[tuple[float, Event]]:
    yield span_s - _PROMPT.begin_s, {
        "type": "change", "event_id": ids.new(time.time_ns()), "service": SUPPORT.service,
        "environment": "production", "kind": "prompt", "subject": SUPPORT.prompt,
        "from_version": SUPPORT.versions[1], "to_version": _PROMPT_VERSION, "actor": "release-bot",
    }  # fmt: skip


def _looping(ids: EventIds, span_s: float) -> Iterator[tuple[float, Event]]:
    every_s = _MINUTE_S / _CALLS_PER_MINUTE
    calls = round((_RUNAWAY.begin_s - _RUNAWAY.end_s) / every_s)
    for number in range(calls):
        event: dict[str, Any] = {
            "type": "request", "event_id": ids.new(time.time_ns()), "service": AGENTS.service,
            "environment": "production", "tenant": "granite-law", "team": AGENTS.team,
            "feature": AGENTS.feature, "key_id": f"key_{AGENTS.team}", "operation": "chat",
            "provider": "anthropic", "request_model": "claude-sonnet-5-5",
            "response_model": "claude-sonnet-5-5", "agent_name": "triage", "run_id": _RUN,
            "tool_name": "search_tickets", "mcp_server": "tickets", "region": "us-east-1",
            "prompt_name": "triage", "prompt_version": "1", "status": "ok", "http_status": 200,
            "duration_ms": 1_200.0, "input_tokens": 48_000, "output_tokens": 300,
        }  # fmt: skip
        yield span_s - _RUNAWAY.begin_s + number * every_s, event
