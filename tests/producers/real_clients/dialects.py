"""Answers of the two providers, and calls of their clients: chats, tools, streams, errors."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The server speaks plain HTTP; reading all certificates for each client would take seconds."""

Events = list[tuple[str, object]]
USER: Any = {"role": "user", "content": "What is the weather in Paris?"}
WORDS = ["It", " is", " fine", " in", " Paris", "."]


@dataclass(frozen=True)
class Dialect:
    """One provider: replies of its server, and what an event must hold of them."""

    name: str
    model: str
    request: dict[str, Any]
    chat: dict[str, Any]
    tools: dict[str, Any]
    stream: Events
    opening: int
    """Events of a stream before its first token."""
    usage: dict[str, object]
    limited: dict[str, Any]
    limited_code: str
    overloaded: tuple[int, dict[str, Any], str]
    """HTTP status, body and error code of a provider that has too much to do."""
    make: Callable[..., Any]
    make_async: Callable[..., Any]
    resource: Callable[[Any], Any]
    path: str

    @property
    def streamed(self) -> dict[str, Any]:
        """Arguments of a call that streams, with its usage."""
        if self.name == "openai":
            return {**self.request, "stream": True, "stream_options": {"include_usage": True}}
        return {**self.request, "stream": True}


_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 34,
    "total_tokens": 154,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 16},
}
_BASE: dict[str, Any] = {"id": "chatcmpl-7", "created": 1, "model": "gpt-5-mini-2026-08-07"}


def _choice(message: dict[str, Any], reason: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}
    return {**_BASE, "object": "chat.completion", "choices": [choice], "usage": _USAGE}


def _delta(delta: dict[str, Any], reason: str | None = None) -> tuple[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return "", {**_BASE, "object": "chat.completion.chunk", "choices": [choice], "usage": None}


OPENAI = Dialect(
    name="openai",
    model="gpt-5-mini-2026-08-07",
    request={"model": "gpt-5-mini", "messages": [USER]},
    chat=_choice({"content": "It is fine in Paris."}, "stop"),
    tools=_choice(
        {
            "content": None,
            "tool_calls": [
                {
                    "id": f"call_{city}",
                    "type": "function",
                    "function": {"name": "weather", "arguments": f'{{"city": "{city}"}}'},
                }
                for city in ("Paris", "Rome")
            ],
        },
        "tool_calls",
    ),
    stream=[
        *(_delta({"role": "assistant", "content": word}) for word in WORDS),
        _delta({}, "stop"),
        ("", {**_BASE, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}),
        ("", "[DONE]"),
    ],
    opening=0,
    usage={
        "input_tokens": 120,
        "output_tokens": 34,
        "cache_read_tokens": 100,
        "reasoning_tokens": 16,
        "usage_source": "provider",
    },
    limited={"error": {"message": "slow", "type": "requests", "code": "rate_limit_exceeded"}},
    limited_code="rate_limit_exceeded",
    overloaded=(
        503,
        {"error": {"message": "busy", "type": "server_error", "code": "overloaded"}},
        "overloaded",
    ),
    make=lambda url, **options: openai.OpenAI(
        api_key="k",
        base_url=f"{url}/v1",
        http_client=openai.DefaultHttpxClient(verify=_NO_CERTIFICATES),
        **options,
    ),
    make_async=lambda url, **options: openai.AsyncOpenAI(
        api_key="k",
        base_url=f"{url}/v1",
        http_client=openai.DefaultAsyncHttpxClient(verify=_NO_CERTIFICATES),
        **options,
    ),
    resource=lambda client: client.chat.completions,
    path="/v1/chat/completions",
)

_MESSAGE: dict[str, Any] = {
    "id": "msg_7",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-20260801",
    "stop_sequence": None,
}
_TOKENS: dict[str, Any] = {
    "input_tokens": 20,
    "cache_read_input_tokens": 90,
    "cache_creation_input_tokens": 10,
    "output_tokens": 34,
    "service_tier": "standard",
}


def _event(kind: str, **fields: object) -> tuple[str, object]:
    return kind, {"type": kind, **fields}


ANTHROPIC = Dialect(
    name="anthropic",
    model="claude-sonnet-5-20260801",
    request={"model": "claude-sonnet-5", "messages": [USER], "max_tokens": 64},
    chat={
        **_MESSAGE,
        "content": [{"type": "text", "text": "It is fine in Paris."}],
        "stop_reason": "end_turn",
        "usage": _TOKENS,
    },
    tools={
        **_MESSAGE,
        "content": [
            {"type": "tool_use", "id": f"toolu_{city}", "name": "weather", "input": {"city": city}}
            for city in ("Paris", "Rome")
        ],
        "stop_reason": "tool_use",
        "usage": _TOKENS,
    },
    stream=[
        _event(
            "message_start",
            message={
                **_MESSAGE,
                "content": [],
                "stop_reason": None,
                "usage": {**_TOKENS, "output_tokens": 1},
            },
        ),
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(
            _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
            for word in WORDS
        ),
        _event("content_block_stop", index=0),
        _event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 34},
        ),
        _event("message_stop"),
    ],
    opening=2,
    usage={
        "input_tokens": 120,
        "output_tokens": 34,
        "cache_read_tokens": 90,
        "cache_write_tokens": 10,
        "usage_source": "provider",
    },
    limited={"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}},
    limited_code="rate_limit_error",
    overloaded=(
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "overloaded_error",
    ),
    make=lambda url, **options: anthropic.Anthropic(
        api_key="k",
        base_url=url,
        http_client=anthropic.DefaultHttpxClient(verify=_NO_CERTIFICATES),
        **options,
    ),
    make_async=lambda url, **options: anthropic.AsyncAnthropic(
        api_key="k",
        base_url=url,
        http_client=anthropic.DefaultAsyncHttpxClient(verify=_NO_CERTIFICATES),
        **options,
    ),
    resource=lambda client: client.messages,
    path="/v1/messages",
)
