"""Replies of providers for benchmarks: real clients over a transport that never leaves the process.

The same bytes for every contestant, parsed by the real client each time: one whole answer, and one
answer streamed in about two hundred chunks with its token counts at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import anthropic
import httpx2
import openai

CHUNKS = 200
TEXT = "The quick brown fox jumps over the lazy dog. " * 12
_MESSAGES: list[Any] = [
    {"role": "system", "content": "You are a helpful assistant. " * 10},
    {"role": "user", "content": "Tell me a story about a fox and a dog. " * 10},
]


class Replies(httpx2.BaseTransport):
    """Answers every request at once, with events where a stream was asked for."""

    def __init__(self, whole: Mapping[str, object], events: Iterable[tuple[str, object]]) -> None:
        self._whole = json.dumps(whole).encode()
        self._events = "".join(
            (f"event: {name}\n" if name else "")
            + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
            for name, data in events
        ).encode()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the whole answer or the stream."""
        request.read()
        is_stream = b'"stream":true' in request.content.replace(b" ", b"")
        kind = "text/event-stream" if is_stream else "application/json"
        content = self._events if is_stream else self._whole
        return httpx2.Response(200, headers={"content-type": kind}, content=content)


def openai_calls() -> tuple[openai.OpenAI, dict[str, Any]]:
    """Return a client of OpenAI and the arguments of a call."""
    base: dict[str, object] = {
        "id": "chatcmpl-1",
        "created": 1_795_000_000,
        "model": "gpt-5-mini-2026-08-07",
    }
    usage = {
        "prompt_tokens": 812,
        "completion_tokens": 201,
        "total_tokens": 1013,
        "prompt_tokens_details": {"cached_tokens": 512},
        "completion_tokens_details": {"reasoning_tokens": 64},
    }
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    whole = {
        **base,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }

    def events() -> Iterator[tuple[str, object]]:
        chunk = {**base, "object": "chat.completion.chunk", "usage": None}
        for number in range(CHUNKS):
            delta = {"content": f" word{number}"}
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            yield "", {**chunk, "choices": [choice]}
        yield "", {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        yield "", {**chunk, "choices": [], "usage": usage}
        yield "", "[DONE]"

    http = httpx2.Client(transport=Replies(whole, events()))
    client = openai.OpenAI(api_key="none", http_client=http, max_retries=0)
    return client, {"model": "gpt-5-mini", "messages": _MESSAGES, "temperature": 0.2}


def anthropic_calls() -> tuple[anthropic.Anthropic, dict[str, Any]]:
    """Return a client of Anthropic and the arguments of a call."""
    usage = {
        "input_tokens": 300,
        "cache_read_input_tokens": 512,
        "cache_creation_input_tokens": 0,
        "output_tokens": 201,
        "service_tier": "standard",
    }
    message: dict[str, object] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "stop_sequence": None,
    }
    text = {"type": "text", "text": TEXT}
    whole = {**message, "content": [text], "stop_reason": "end_turn", "usage": usage}

    def events() -> Iterator[tuple[str, object]]:
        start = {
            **message,
            "content": [],
            "stop_reason": None,
            "usage": {**usage, "output_tokens": 1},
        }
        yield "message_start", {"type": "message_start", "message": start}
        opening = {"index": 0, "content_block": {"type": "text", "text": ""}}
        yield "content_block_start", {"type": "content_block_start", **opening}
        for number in range(CHUNKS):
            delta = {"type": "text_delta", "text": f" word{number}"}
            yield (
                "content_block_delta",
                {"type": "content_block_delta", "index": 0, "delta": delta},
            )
        yield "content_block_stop", {"type": "content_block_stop", "index": 0}
        ending = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
        yield "message_delta", {"type": "message_delta", **ending}
        yield "message_stop", {"type": "message_stop"}

    http = httpx2.Client(transport=Replies(whole, events()))
    client = anthropic.Anthropic(api_key="none", http_client=http, max_retries=0)
    system, user = _MESSAGES
    call = {"model": "claude-sonnet-5", "messages": [user], "system": system["content"]}
    return client, {**call, "max_tokens": 512}
