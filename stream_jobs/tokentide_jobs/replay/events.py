"""From recorded calls to events: what was recorded, plus the declared joins.

Yields (seconds since the trace began, event) in order of time. Events have no `started_at_us`: the
sender sets it, because only it knows how recorded time maps to the clock.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import time
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Final

from tokentide.ids import EventIds
from tokentide_jobs.replay.attempts import AttemptResult, AttemptResults
from tokentide_jobs.replay.company import (
    AGENTS,
    APPS,
    CHANGES,
    REASONING,
    TENANTS,
    App,
    ModelEndpoint,
    Weighted,
)
from tokentide_jobs.replay.formats.trace import RecordedCall
from tokentide_jobs.replay.llmperf import Measurements

__all__ = ["Event", "Events"]

Event = dict[str, Any]

_OUTPUT_LIMIT: Final = 1_000
"""The most tokens a call of the Azure recording made: a call with that many was cut off."""
_USERS_PER_TENANT: Final = 250
_MODEL_CHANGE_AT: Final = 0.75
_MAIN_AGENT: Final = "main"
_AGENT_VERSIONS: Final = ("1.4", "1.5")
"""Before and after half of the trace, as the prompts change."""
_NEW_MODEL: Final = "gemini-4-argon"
_ABNORMAL_SHARES: Final = (
    (0.004, "refused"),
    (0.006, "filtered"),
    (0.010, "abandoned"),
    (0.012, "cancelled"),
)
"""(up to share, status) of calls that neither went well nor failed; no recording has these."""
_STAGING_SHARE: Final = 0.03
_TOOL_SHARE: Final = 0.18

_JUDGED_FIELDS: Final = (
    "service",
    "environment",
    "tenant",
    "team",
    "feature",
    "user_hash",
    "provider",
    "operation",
    "request_model",
    "response_model",
    "prompt_name",
    "prompt_version",
)
"""What an evaluation or feedback repeats of the request it judges."""


class Events:
    """Turns the calls of one trace into events.

    Args:
        seed: The same seed gives the same events, but for their ids, which are new in every run.
        span_s: Length of the trace: prompts, models and releases change at shares of it.
        measured: Latency and failures to join.
        failure_scale: Multiplies the measured failure rates.
        apps: Services that chat calls are given to.
    """

    def __init__(
        self,
        seed: int,
        span_s: float,
        measured: Measurements,
        failure_scale: float = 1.0,
        apps: Weighted[App] = APPS,
    ) -> None:
        self._apps = apps
        self._rng = random.Random(f"{seed}:world")  # noqa: S311 - a simulation, not a secret
        self._attempts = AttemptResults(measured, seed, failure_scale)
        self._span_s = span_s
        # Ids differ between runs: a second replay is new traffic, not a duplicate.
        self._ids = EventIds()
        self._user_of_lane: dict[str, tuple[str, str]] = {}
        self._users: dict[str, list[str]] = {}
        self._tags = {
            tenant: {
                "plan": ("enterprise", "team")[place % 2],
                "channel": "api" if place % 3 else "web",
            }
            for place, tenant in enumerate(TENANTS.items)
        }

    def of(self, calls: Iterable[RecordedCall]) -> Iterator[tuple[float, Event]]:
        """Yield the events of `calls`: requests, and the judgements and changes around them."""
        later: list[tuple[float, int, Event]] = []
        for place, (share, service, kind, subject, before, after) in enumerate(CHANGES):
            change = self._change(service, kind, subject, before, after)
            heapq.heappush(later, (share * self._span_s, -len(CHANGES) + place, change))
        tie = count()
        for call in calls:
            while later and later[0][0] <= call.at_s:
                at_s, _, event = heapq.heappop(later)
                yield at_s, event
            app = self._app(call)
            event = self._request(call, app)
            yield call.at_s, event
            for delay_s, judgement in self._judgements(call, app, event):
                at_s = call.at_s + delay_s
                if at_s <= self._span_s:
                    heapq.heappush(later, (at_s, next(tie), judgement))
        while later:
            at_s, _, event = heapq.heappop(later)
            yield at_s, event

    def _app(self, call: RecordedCall) -> App:
        if call.kind == "agent":
            return AGENTS
        return REASONING if call.kind == "reasoning" else self._apps.draw(self._rng.random())

    def _request(self, call: RecordedCall, app: App) -> Event:
        rng = self._rng
        draw = rng.random
        is_late = call.at_s >= self._span_s / 2
        tenant, user = self._home(call)
        endpoint = self._endpoint(call, app)
        event: Event = {
            "type": "request",
            "event_id": self._new_id(),
            "service": app.service,
            "environment": "staging" if draw() < _STAGING_SHARE else "production",
            "tenant": tenant,
            "team": app.team,
            "feature": app.feature,
            "user_hash": user,
            "key_id": f"key_{app.team}",
            "host": f"{app.service}-{int(draw() * 3)}",
            "tags": self._tags[tenant],
            "operation": "chat",
            "provider": endpoint.provider,
            "request_model": endpoint.model,
            "prompt_name": app.prompt,
            "prompt_version": app.versions[is_late],
            "status": "ok",
        }
        if app.temperature is not None:
            event["temperature"] = app.temperature
        if endpoint.service_tier:
            event["service_tier_requested"] = event["service_tier"] = endpoint.service_tier
        if call.kind == "agent":
            event["conversation_id"] = call.lane
            event["agent_name"] = call.agent or _MAIN_AGENT
            event["agent_version"] = _AGENT_VERSIONS[is_late]
            event["run_id"] = call.run or call.lane
            if call.parent_run:
                event["parent_run_id"] = call.parent_run
                event["parent_agent_name"] = _MAIN_AGENT
        outcome = self._outcome(call, endpoint)
        is_stream = draw() < app.stream_share if call.is_stream is None else call.is_stream
        event["stream"] = is_stream
        event["duration_ms"] = round(outcome.duration_s * 1e3, 3)
        if outcome.retries or call.kind != "agent":
            event["retry_count"] = outcome.retries
        if outcome.error_type:
            _fail(event, outcome)
            return event
        if is_stream and outcome.ttft_s is not None:
            event["ttft_ms"] = round(min(outcome.ttft_s, outcome.duration_s) * 1e3, 3)
        event["response_model"] = endpoint.model
        event["http_status"] = 200
        self._finish(event, call, app)
        return event

    def _finish(self, event: Event, call: RecordedCall, app: App) -> None:
        """Set usage, status and finish reason of a call that was answered."""
        event["input_tokens"], event["output_tokens"] = call.input_tokens, call.output_tokens
        event["usage_source"] = "provider"
        if call.kind == "agent":
            event["cache_read_tokens"] = call.cache_read_tokens
            event["cache_write_tokens"] = call.cache_write_tokens
            if call.cache_write_tokens is not None:
                event["cache_write_1h_tokens"] = 0  # derived writes are five-minute ones
            if call.tool_calls is not None:
                event["tool_calls_count"] = call.tool_calls
            if call.stop:
                event["finish_reasons"] = ["tool_call" if call.stop == "tool_use" else "stop"]
            return
        if call.reasoning_tokens is not None:
            event["reasoning_tokens"] = call.reasoning_tokens
        if call.kind == "chat":
            event["max_tokens"] = _OUTPUT_LIMIT
        number = self._rng.random()
        if number < _ABNORMAL_SHARES[-1][0]:
            _make_abnormal(
                event, next(status for share, status in _ABNORMAL_SHARES if number < share)
            )
        elif call.kind == "chat" and call.output_tokens >= _OUTPUT_LIMIT:
            event["finish_reasons"] = ["length"]
        elif app.has_tools and self._rng.random() < _TOOL_SHARE:
            event["finish_reasons"] = ["tool_call"]
            event["tool_calls_count"] = 1 + int(self._rng.random() * 2.2)
        else:
            event["finish_reasons"] = ["stop"]

    def _outcome(self, call: RecordedCall, endpoint: ModelEndpoint) -> AttemptResult:
        if call.kind != "agent":
            return self._attempts.of(endpoint.provider, endpoint.pace_of, call.output_tokens)
        if call.duration_s is not None:
            return AttemptResult(call.duration_s, call.ttft_s, 0)
        first_s, whole_s = self._attempts.pace(endpoint.pace_of, call.output_tokens)
        return AttemptResult(whole_s, first_s, 0)

    def _endpoint(self, call: RecordedCall, app: App) -> ModelEndpoint:
        endpoint = app.endpoints.draw(self._rng.random())
        if call.model:
            return ModelEndpoint(endpoint.provider, call.model, endpoint.pace_of)
        if endpoint.model == _NEW_MODEL and call.at_s < _MODEL_CHANGE_AT * self._span_s:
            return app.endpoints.items[0]
        return endpoint

    def _home(self, call: RecordedCall) -> tuple[str, str]:
        """Return (tenant, user); an agent session and a ServeGen client keep theirs."""
        user = self._user_of_lane.get(call.lane) if call.lane else None
        if user is None:
            tenant = TENANTS.draw(self._rng.random())
            users = self._users.get(tenant)
            if users is None:
                users = [_hash(f"{tenant}/{number}") for number in range(_USERS_PER_TENANT)]
                self._users[tenant] = users
            # Squared: some people call far more often than others.
            user = (tenant, users[int(self._rng.random() ** 2 * _USERS_PER_TENANT)])
            if call.lane:
                self._user_of_lane[call.lane] = user
        return user

    def _judgements(
        self, call: RecordedCall, app: App, request: Event
    ) -> Iterator[tuple[float, Event]]:
        """Yield (delay in s, event) for the evaluation and feedback a request may get."""
        draw = self._rng.random
        if request["status"] != "ok":
            return
        if draw() < app.judge_share:
            mean = app.quality[call.at_s >= self._span_s / 2]
            score = round(self._rng.betavariate(20 * mean, 20 * (1 - mean)), 3)
            event = self._verdict("evaluation", app.judge, request)
            event["evaluator"] = "guardrail" if app.judge == "policy" else "judge"
            event["score"], event["passed"] = score, score >= 0.7
            event["duration_ms"] = round(400 + 900 * draw(), 1)
            yield 1 + 4 * draw() + request["duration_ms"] / 1e3, event
        if draw() < app.feedback_share:
            event = self._verdict("feedback", "thumbs", request)
            is_positive = draw() < app.quality[call.at_s >= self._span_s / 2]
            event["score"], event["label"] = (1.0, "up") if is_positive else (0.0, "down")
            yield 5 + 90 * draw() + request["duration_ms"] / 1e3, event

    def _verdict(self, kind: str, name: str, request: Event) -> Event:
        return {
            "type": kind,
            "event_id": self._new_id(),
            "name": name,
            "target_event_id": request["event_id"],
            **{field: request[field] for field in _JUDGED_FIELDS},
        }

    def _change(self, service: str, kind: str, subject: str, before: str, after: str) -> Event:
        event = {
            "type": "change",
            "event_id": self._new_id(),
            "service": service,
            "environment": "production",
            "kind": kind,
            "subject": subject,
            "to_version": after,
            "actor": "release-bot",
        }
        return {**event, "from_version": before} if before else event

    def _new_id(self) -> str:
        return self._ids.new(time.time_ns())


def _fail(event: Event, outcome: AttemptResult) -> None:
    event["status"] = "error"
    event["error_type"], event["error_code"] = outcome.error_type, outcome.error_code
    if outcome.http_status is not None:
        event["http_status"] = outcome.http_status
    if outcome.retry_after_ms is not None:
        event["retry_after_ms"] = outcome.retry_after_ms


def _make_abnormal(event: Event, status: str) -> None:
    """Turn an answered call into one that was refused, filtered, broken off or given up."""
    event["status"] = status
    if status in ("refused", "filtered"):
        event["output_tokens"] = min(event["output_tokens"], 24)
        event["finish_reasons"] = ["refusal" if status == "refused" else "content_filter"]
        if event.get("reasoning_tokens"):
            event["reasoning_tokens"] = 0
        return
    # A client that leaves before the end of a stream never sees the usage that is still billed.
    for field in ("input_tokens", "output_tokens", "reasoning_tokens", "http_status"):
        event.pop(field, None)
    event["usage_source"] = "missing"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
