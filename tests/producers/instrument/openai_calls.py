"""Clients of OpenAI whose every request is answered by what belongs there."""

from __future__ import annotations

from typing import Any

import httpx2
import openai

from tests.fakes.openai_http import (
    CHAT,
    RESPONSE,
    Pulled,
    answering,
    answering_async,
    body_of,
    chat_sse,
    response_sse,
    sse,
)
from tokentide.testing import Capture

MESSAGES: Any = [{"role": "user", "content": "a question"}]
ASK: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES}


def answer(request: httpx2.Request) -> httpx2.Response:
    """Answers every path with what belongs there, streamed when that was asked for."""
    body = body_of(request) if request.headers.get("content-type") == "application/json" else {}
    is_stream = body.get("stream", False)
    if request.url.path.endswith("/responses"):
        return sse(response_sse()) if is_stream else httpx2.Response(200, json=RESPONSE)
    if request.url.path.endswith("/embeddings"):
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
        found = {"object": "list", "model": "text-embedding-3", "data": [vector], "usage": usage}
        return httpx2.Response(200, json=found)
    if request.url.path.endswith("/transcriptions"):
        tokens = {"type": "tokens", "input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
        return httpx2.Response(200, json={"text": "hello", "usage": tokens})
    if request.url.path.endswith("/images/generations"):
        tokens = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}
        return httpx2.Response(200, json={"created": 1, "data": [{"url": "u"}], "usage": tokens})
    if request.url.path.endswith("/models"):
        return httpx2.Response(200, json={"object": "list", "data": []})
    usage_asked = (body.get("stream_options") or {}).get("include_usage")
    if is_stream:
        return sse(chat_sse() if usage_asked else chat_sse(usage=None))
    return httpx2.Response(200, json=CHAT)


def client(**options: Any) -> openai.OpenAI:
    return openai.OpenAI(**{"api_key": "k", "http_client": answering(answer), **options})


def async_client(**options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(**{"api_key": "k", "http_client": answering_async(answer), **options})


def streaming(stream: Pulled, **options: Any) -> openai.OpenAI:
    return client(http_client=answering(lambda _request: stream.response), **options)


def only(capture: Capture) -> dict[str, Any]:
    (event,) = capture.requests
    return event
