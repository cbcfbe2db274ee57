"""Calls of the real openai and anthropic clients, answered from memory by an HTTP transport."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

QUESTION = [{"role": "user", "content": "q"}]
TOOLS = [
    {
        "type": "function",
        "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
    }
]


@dataclass(frozen=True)
class Call:
    """One call and what the provider answers: a body, or the chunks of a stream."""

    name: str
    flavour: str
    provider: str
    method: str
    answer: Mapping[str, Any]
    chunks: Sequence[Mapping[str, Any]] = ()
    status: int = 200

    def run(self, sdk: Mapping[str, Any]) -> None:
        """Make the call; what it raises is swallowed when the answer is a failure."""
        sdk["answers"].append(self)
        stream: dict[str, Any] = {"stream": True} if self.chunks else {}
        try:
            if self.method == "openai.chat":
                made = sdk["openai"].chat.completions.create(
                    model="gpt-4o-mini", messages=QUESTION, tools=TOOLS, **_asking_usage(stream)
                )
            elif self.method == "openai.responses":
                made = sdk["openai"].responses.create(model="gpt-5-mini", input="q", **stream)
            elif self.method == "openai.embeddings":
                made = sdk["openai"].embeddings.create(
                    model="text-embedding-3-small", input="q", encoding_format="float"
                )
            else:
                made = sdk["anthropic"].messages.create(
                    model="claude-sonnet-4-5", messages=QUESTION, max_tokens=64, **stream
                )
            if self.chunks:
                assert len(list(made)) > 1
        except Exception:
            if self.status == 200:
                raise


def _asking_usage(stream: dict[str, Any]) -> dict[str, Any]:
    return {**stream, "stream_options": {"include_usage": True}} if stream else stream


_CHAT_USAGE = {
    "prompt_tokens": 2000,
    "completion_tokens": 200,
    "total_tokens": 2200,
    "prompt_tokens_details": {"cached_tokens": 1024},
    "completion_tokens_details": {"reasoning_tokens": 50},
}
_CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "a"},
            "finish_reason": "stop",
        }
    ],
    "usage": _CHAT_USAGE,
}
_CHUNK = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1}
_CHUNK |= {"model": "gpt-4o-mini-2024-07-18"}
_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "a"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_read_input_tokens": 900,
        "cache_creation_input_tokens": 50,
    },
}
_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5-mini-2025-08-07",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens": 80,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 180,
    },
}
FIRST_COUNT = 3
"""Output tokens that a stream of Anthropic's reports when it begins; its last count has them."""

CALLS = (
    Call(
        "chat",
        "openai_chat",
        "openai",
        "openai.chat",
        _CHAT,
    ),
    Call(
        "chat with a tool",
        "openai_chat",
        "openai",
        "openai.chat",
        {
            **_CHAT,
            "id": "chatcmpl-3",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "call_1",
                                "type": "function",
                                "function": {"name": "look_up", "arguments": "{}"},
                            }
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
        },
    ),
    Call(
        "streamed chat",
        "openai_chat",
        "openai",
        "openai.chat",
        {},
        (
            {**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]},
            {**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**_CHUNK, "choices": [], "usage": _CHAT_USAGE},
        ),
    ),
    Call(
        "responses",
        "openai_responses",
        "openai",
        "openai.responses",
        _RESPONSE,
    ),
    Call(
        "streamed responses",
        "openai_responses",
        "openai",
        "openai.responses",
        {},
        (
            {
                "type": "response.created",
                "sequence_number": 0,
                "response": {**_RESPONSE, "status": "in_progress", "output": [], "usage": None},
            },
            {
                "type": "response.output_text.delta",
                "sequence_number": 1,
                "item_id": "m",
                "output_index": 0,
                "content_index": 0,
                "delta": "a",
                "logprobs": [],
            },
            {"type": "response.completed", "sequence_number": 2, "response": _RESPONSE},
        ),
    ),
    Call(
        "embeddings",
        "openai_embeddings",
        "openai",
        "openai.embeddings",
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
    ),
    Call("message", "anthropic_messages", "anthropic", "anthropic.messages", _MESSAGE),
    Call(
        "streamed message",
        "anthropic_messages",
        "anthropic",
        "anthropic.messages",
        {},
        (
            {
                "type": "message_start",
                "message": {
                    **_MESSAGE,
                    "content": [],
                    "stop_reason": None,
                    "usage": {**_MESSAGE["usage"], "output_tokens": FIRST_COUNT},
                },
            },
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "a"},
            },
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 20},
            },
            {"type": "message_stop"},
        ),
    ),
)


REFUSED = Call("refused", "openai_chat", "openai", "openai.chat", {}, status=429)


@contextmanager
def clients() -> Iterator[dict[str, Any]]:
    """Yield both clients over a transport that answers with what `answers` holds, in order."""
    openai, anthropic = importlib.import_module("openai"), importlib.import_module("anthropic")
    answers: list[Call] = []

    def body(call: Call) -> tuple[bytes, str]:
        if call.status != 200:
            error = {"error": {"message": "slow down", "type": "requests", "code": "slow_down"}}
            return json.dumps(error).encode(), "application/json"
        if not call.chunks:
            return json.dumps(call.answer).encode(), "application/json"
        lines = []
        for chunk in call.chunks:
            named = f"event: {chunk['type']}\n" if "type" in chunk else ""
            lines.append(f"{named}data: {json.dumps(chunk)}\n\n")
        end = "" if call.provider == "anthropic" else "data: [DONE]\n\n"
        return ("".join(lines) + end).encode(), "text/event-stream"

    made: dict[str, Any] = {"answers": answers}
    for name, module, kind in (
        ("openai", openai, openai.OpenAI),
        ("anthropic", anthropic, anthropic.Anthropic),
    ):
        # The clients move from httpx to httpx2; each takes what its version was built on.
        base = vars(module._base_client)
        http = base.get("httpx2") or base["httpx"]

        def answer(request: Any, http: Any = http) -> Any:
            call = answers.pop(0)
            content, kind_of = body(call)
            return http.Response(call.status, content=content, headers={"content-type": kind_of})

        made[name] = kind(
            api_key="k",
            max_retries=0,
            http_client=http.Client(transport=http.MockTransport(answer)),
        )
    try:
        yield made
    finally:
        made["openai"].close()
        made["anthropic"].close()
