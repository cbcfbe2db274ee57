"""OpenAI's and Anthropic's HTTP answers, served to the real clients by a transport in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import httpx2

Json = dict[str, Any]

USAGE: Json = {
    "prompt_tokens": 10,
    "completion_tokens": 2,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
}
CHAT: Json = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5-mini-2025-08-07",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    ],
    "usage": USAGE,
}
RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-5-mini-2025-08-07",
    "output": [
        {
            "type": "message",
            "id": "i",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 10,
        "output_tokens": 2,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 1},
    },
}
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 4},
}


def chat_chunk(
    content: str | None = None, finish: str | None = None, usage: Json | None = None
) -> Json:
    """Return one chunk of a streamed chat completion; with usage it has no choices."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5-mini-2025-08-07",
        "choices": [] if usage else [choice],
        "usage": usage,
    }


CHAT_CHUNKS = [chat_chunk("a"), chat_chunk("b"), chat_chunk(None, "stop")]


def chat_sse(chunks: Iterable[Json] = CHAT_CHUNKS, usage: Json | None = USAGE) -> str:
    """Return the body of a streamed chat completion."""
    events = [*chunks, *([chat_chunk(usage=usage)] if usage else [])]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def response_sse() -> str:
    """Return the body of a streamed response."""
    text: Json = {"item_id": "i", "output_index": 0, "content_index": 0, "logprobs": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"type": "message", "id": "i", "role": "assistant", "status": "in_progress"}
    events: list[Json] = [
        {"type": "response.created", "response": {**RESPONSE, "output": [], "usage": None}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "content": []},
        },
        {
            "type": "response.content_part.added",
            "item_id": "i",
            "output_index": 0,
            "content_index": 0,
            "part": part,
        },
        {"type": "response.output_text.delta", "delta": "hi", **text},
        {"type": "response.completed", "response": RESPONSE},
    ]
    return "".join(
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': n})}\n\n"
        for n, event in enumerate(events)
    )


def message_sse() -> str:
    """Return the body of a streamed message."""
    start = {**MESSAGE, "content": [], "stop_reason": None}
    start["usage"] = {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 4}
    events: list[Json] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "hi"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def sse(body: str) -> httpx2.Response:
    """Return a whole event stream as one answer."""
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=body)


class Pulled(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """An event stream that comes event by event and notes what was pulled, and whether it ended.

    Args:
        body: The whole stream.
        error: Raised in place of the events from `fails_at` on.
    """

    def __init__(
        self, body: str, error: BaseException | None = None, fails_at: int | None = None
    ) -> None:
        self._events = [f"{part}\n\n".encode() for part in body.split("\n\n") if part]
        self._error = error
        self._fails_at = fails_at
        self.pulled = 0
        self.is_closed = False

    def _all(self) -> Iterator[bytes]:
        for number, event in enumerate(self._events):
            if self._error is not None and number == self._fails_at:
                raise self._error
            self.pulled += 1
            yield event

    def __iter__(self) -> Iterator[bytes]:
        yield from self._all()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._all():
            yield event

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True

    @property
    def response(self) -> httpx2.Response:
        """The answer that this is the body of."""
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=self)


Answer = Callable[[httpx2.Request], httpx2.Response]


def answering(answer: Answer) -> httpx2.Client:
    """Return an HTTP client that asks a function instead of the network."""
    return httpx2.Client(transport=httpx2.MockTransport(answer))


def answering_async(answer: Answer) -> httpx2.AsyncClient:
    """Return an asynchronous HTTP client that asks a function instead of the network."""
    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))


def body_of(request: httpx2.Request) -> Json:
    """Return the JSON a client sent."""
    body: Json = json.loads(request.content)
    return body
