"""Two months of traffic with everything that has made answers wrong, as events of the contract.

Embeddings and calls without usage (absent numbers), one id sent twice and one for two calls, days
without a call, a February before a March, changes minutes before the last look and reported by
another service, two environments, judgements that name nothing but a call. Deterministic.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from typing import Any, Final

Event = dict[str, Any]


def moment(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, minute, second, tzinfo=dt.UTC)


NOWS: Final = (moment(3, 1), moment(3, 10, 7, 5), moment(3, 31, 12, 20, 30))
"""When the questions are asked: as a month begins, early in one, and on a day February has not."""
DEPLOYED: Final = NOWS[-1] - dt.timedelta(minutes=25, seconds=13)
"""A deploy within the last hour, in the middle of an hour with calls on both sides."""
TRACE: Final = "00000000000000000000000000001700"
"""The trace that the page asks for."""

_DAYS: Final = (
    *((1, day) for day in (30,)),
    *((2, day) for day in (1, 2, 8, 10, 15, 22, 24, 27, 28)),
    *((3, day) for day in (1, 2, 3, 5, 9, 10, 17, 24, 25, 28, 30, 31)),
)
_CALLS_A_DAY: Final = 36
_LOOKS_BACK: Final = tuple(dt.timedelta(hours=hours) for hours in (1, 24, 48, 168, 336, 672, 720))

_MODELS: Final = (
    ("openai", "chat", "gpt-4.1-mini", ""),
    ("anthropic", "chat", "claude-sonnet-4-20250514", ""),
    ("openai", "embeddings", "text-embedding-3-small", ""),
    ("aws.bedrock", "chat", "anthropic.claude-sonnet-4-20250514-v1:0", "us-east-1"),
    ("selfhosted", "chat", "mystery-1", "eu-central-1"),
    ("selfhosted", "embeddings", "mystery-embed", ""),
    ("openai", "chat", "gpt-4.1", ""),
)
TIMED_OUT: Final[Event] = {
    "status": "error", "error_type": "timeout", "duration_ms": 2_000.0, "ttft_ms": None,
}  # fmt: skip
_OF_OUTPUT: Final = ("output_tokens", "reasoning_tokens", "cache_read_tokens", "cache_write_tokens")
_ENDINGS: Final = ("ok",) * 14 + ("error", "error", "refused", "filtered", "cancelled", "abandoned")
_ERRORS: Final = ("rate_limit", "timeout", "server_error", "overloaded", "invalid_request")


def us(at: dt.datetime) -> int:
    return round((at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))


class Traffic:
    """Draws events; the same ones every time."""

    def __init__(self) -> None:
        self.draw = random.Random(13)
        self.number = 0

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.draw.getrandbits(128), version=4))

    def call(self, at: dt.datetime, **fields: Any) -> Event:
        """Draw one call; `fields` are set whatever was drawn."""
        draw, n = self.draw, self.number
        self.number += 1
        provider, operation, model, region = draw.choice(_MODELS)
        status = draw.choice(_ENDINGS)
        is_chat = operation == "chat"
        duration_ms = float(draw.randrange(200, 9_000))
        event: Event = {
            "type": "request",
            "event_id": self.new_id(),
            "started_at_us": us(at),
            "service": draw.choice(("chat-api", "rag-worker")),
            "environment": draw.choice(("production", "production", "staging")),
            "tenant": draw.choice(("acme", "globex", "")),
            "team": draw.choice(("search", "support")),
            "feature": draw.choice(("answer", "rewrite", "classify")),
            "user_hash": draw.choice(("", *(f"u{user}" for user in range(30)))),
            "trace_id": f"{n // 3:032x}",
            "parent_span_id": f"{1 + n // 6:016x}",
            "operation": operation,
            "provider": provider,
            "region": region,
            "request_model": model,
            "status": status,
            "response_id": f"resp_{n}",
            "duration_ms": duration_ms,
            "usage_source": draw.choice(("provider", "provider", "provider", "estimated")),
            "key_id": draw.choice(("key_0", "key_1", "")),
            "agent_name": draw.choice(("planner", "researcher", "", "")),
            "conversation_id": draw.choice(("", f"c{n // 9}", f"c{n // 14}")),
            "tool_name": draw.choice(("", "", "search")),
            "tags": draw.choice(({}, {"release": draw.choice(("26.1", "26.2"))})),
            "input_tokens": draw.randrange(50, 4_000),
            "finish_reasons": [draw.choice(("stop", "stop", "stop", "length"))],
        }
        if status == "error":
            event |= {"error_type": draw.choice(_ERRORS), "finish_reasons": []}
        elif draw.random() < 0.9:
            event["response_model"] = model
        if is_chat:
            self._add_chat(event, n)
        if draw.random() < 0.3:
            event["retry_count"] = draw.choice((0, 0, 1, 2))
        if event["agent_name"]:
            run, agent = n // 10, event["agent_name"]
            event |= {"run_id": f"{agent}-{run}", "agent_version": draw.choice(("1.0", "1.1"))}
            if run % 3:
                event["parent_run_id"] = f"{agent}-{run - 1}"
        if draw.random() < 0.06:  # no usage was reported
            event |= {"usage_source": "missing"}
            for name in [name for name in event if name.endswith("_tokens")]:
                del event[name]
        return event | fields

    def _add_chat(self, event: Event, n: int) -> None:
        draw = self.draw
        output = draw.randrange(1, 1_500)
        event |= {
            "output_tokens": output,
            "prompt_name": draw.choice(("answer-with-sources", "rewrite-tone", "")),
            "prompt_version": draw.choice(("v1", "v2")),
            "tool_calls_count": draw.choice((0, 1, 3)),
            "mcp_server": draw.choice(("", "web")),
        }
        if draw.random() < 0.5:
            event["cache_read_tokens"] = draw.randrange(event["input_tokens"] // 2)
        if event["provider"] == "anthropic":
            event["cache_write_tokens"] = draw.randrange(event["input_tokens"] // 2)
        if draw.random() < 0.3:
            event["reasoning_tokens"] = draw.randrange(output)
        if draw.random() < 0.5:
            event |= {
                "stream": True,
                "ttft_ms": float(draw.randrange(100, round(event["duration_ms"]))),
                "max_chunk_gap_ms": float(draw.randrange(5, 9_000)),
            }
        if draw.random() < 0.25:
            event |= {
                "sdk_name": draw.choice(("codex", "claude-code", "gemini-cli")),
                "reported_cost_pico_usd": draw.randrange(10**9, 10**11),
                "reported_cost_source": draw.choice(("claude-code", "openrouter", "x_ai")),
            }

    def attempts(self, at: dt.datetime, n: int, *later: tuple[int, Event]) -> Iterator[Event]:
        """Yield a failed call and others of the same parent, some seconds after its beginning."""
        family = {
            "trace_id": f"{10**6 + n:032x}", "parent_span_id": f"{10**6 + n:016x}",
            "tenant": "acme", "prompt_name": "rewrite-tone", "operation": "chat",
        }  # fmt: skip
        yield self.call(at, **family, **TIMED_OUT)
        for seconds, fields in later:
            yield self.call(at + dt.timedelta(seconds=seconds), **family, **fields)


def _days(traffic: Traffic) -> Iterator[Event]:
    for month, day in _DAYS:
        for _ in range(_CALLS_A_DAY):
            seconds = traffic.draw.randrange(86_400)
            yield traffic.call(moment(month, day) + dt.timedelta(seconds=seconds, microseconds=7))


def _edges(traffic: Traffic) -> Iterator[Event]:
    """Yield calls at the very bounds of what is asked for, and a microsecond before them."""
    for now in NOWS:
        for back in _LOOKS_BACK:
            yield traffic.call(now - back)
            yield traffic.call(now - back - dt.timedelta(microseconds=1))
        yield traffic.call(now - dt.timedelta(microseconds=1))


def _deploy(traffic: Traffic) -> Iterator[Event]:
    """Yield 14 calls after the deploy, 10 of them errors; 12 before it in the same hour, sound."""
    for place in range(12):
        at = DEPLOYED - dt.timedelta(minutes=20) + dt.timedelta(seconds=place, microseconds=3)
        yield traffic.call(at, service="chat-api", environment="production", status="ok")
    error = {"status": "error", "error_type": "server_error"}
    for place in range(14):
        yield traffic.call(
            DEPLOYED + dt.timedelta(seconds=place), service="chat-api", environment="production",
            **(error if place < 10 else {"status": "ok"}),
        )  # fmt: skip
    yield traffic.call(DEPLOYED, service="chat-api", environment="staging", status="error")


def _retried(traffic: Traffic) -> Iterator[Event]:
    at = NOWS[-1] - dt.timedelta(hours=5)
    ok: Event = {"status": "ok", "duration_ms": 9_000.0}
    other_model: Event = {"request_model": "gpt-4.1", "response_model": ""}
    yield from traffic.attempts(at, 0, (3, ok))
    yield from traffic.attempts(at, 1, (3, ok | other_model))
    yield from traffic.attempts(at, 2, (1, ok))  # it began while the other one still ran
    yield from traffic.attempts(at, 3)
    yield from traffic.attempts(at, 4, (3, TIMED_OUT), (6, ok))


def _slower(traffic: Traffic) -> Iterator[Event]:
    """Yield one kind of call whose answers take twice as long on the last day."""
    kind: Event = {
        "service": "chat-api", "prompt_name": "rewrite-tone", "operation": "chat",
        "provider": "openai", "request_model": "gpt-4.1", "response_model": "gpt-4.1",
    }  # fmt: skip
    for now in NOWS:
        for hours, by in ((2, 2), (31, 1)):
            at = (now - dt.timedelta(hours=hours)).replace(second=0)
            for place in range(22):
                took = {"duration_ms": by * (5_000.0 + 10 * place), "ttft_ms": 900.0 + place}
                yield traffic.call(at + dt.timedelta(seconds=place), **kind, **took)


def requests() -> list[Event]:
    traffic = Traffic()
    usual = [*_days(traffic), *_edges(traffic)]
    found = [*usual, *_deploy(traffic), *_retried(traffic), *_slower(traffic)]
    for at in (moment(2, 27, 3), moment(3, 9, 4), moment(3, 30, 13)):
        found += [traffic.call(at, trace_id=TRACE), traffic.call(at, trace_id=TRACE)]
    for now in NOWS:  # a user who only embeds, and much
        embedding = {"operation": "embeddings", "request_model": "text-embedding-3-small"}
        only = {"user_hash": "embedder", "status": "ok", "input_tokens": 90_000}
        call = traffic.call(now - dt.timedelta(hours=2), **embedding, **only)
        found.append({name: value for name, value in call.items() if name not in _OF_OUTPUT})
    for tenant, days in (("young", 3), ("autumn", 12)):  # who began within the last month
        began = NOWS[-1] - dt.timedelta(days=days)
        found += [
            traffic.call(began, tenant=tenant),
            traffic.call(began + dt.timedelta(1), tenant=tenant),
        ]
    found += [dict(one) for one in usual[::37]]  # sent twice
    return [*found, *_one_id_for_two(traffic)]


def _one_id_for_two(traffic: Traffic) -> Iterator[Event]:
    """Yield two calls to which a producer gave one id."""
    event_id = traffic.new_id()
    for second, (model, prompt) in enumerate((("gpt-4.1", "first"), ("gpt-4.1-mini", "second"))):
        own = {"request_model": model, "response_model": model, "prompt_name": prompt}
        yield traffic.call(moment(3, 30, 9, 0, second), event_id=event_id, **own)
