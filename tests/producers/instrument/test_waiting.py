"""What waits for the background thread, and what it keeps alive meanwhile."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

import tokentide
from tests.fakes.openai_http import CHAT, answering
from tests.producers.instrument.openai_calls import ASK, client
from tokentide import producer as module
from tokentide.telemetry import producer_of
from tokentide.testing import Capture, captured


def answered(body: Any) -> Any:
    """Asks a client whose server answers with the body."""
    http = answering(lambda _request: httpx2.Response(200, json=body))
    return client(http_client=http).chat.completions.create(**ASK)


@contextmanager
def nothing_taken() -> Iterator[Capture]:
    """Instruments, and lets the background thread take events only at the end."""
    with captured(service="s", linger_ms=1) as capture:
        engine = producer_of(capture.telemetry).engine
        engine.is_started = True
        tokentide.instrument(telemetry=capture.telemetry)
        try:
            yield capture
        finally:
            engine.is_started = False
            tokentide.uninstrument()


def waiting(capture: Capture) -> list[object]:
    return [entry[2] for entry in producer_of(capture.telemetry).engine.buffer._entries]


def test_responses_wait_for_the_background_only_while_the_queue_is_short() -> None:
    with nothing_taken() as capture:
        api = client()
        for _call in range(module.MAX_DEFERRED + 5):
            api.chat.completions.create(**ASK)
        events = waiting(capture)
        late = [event for event in events if type(event) is not dict]
        assert (len(late), len(events)) == (module.MAX_DEFERRED, module.MAX_DEFERRED + 5)
    assert len(capture.requests) == module.MAX_DEFERRED + 5


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "a"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
    ],
    ids=["text", "tool"],
)
def test_an_ordinary_answer_is_let_go_while_its_event_waits(message: dict[str, Any]) -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    with nothing_taken() as capture:
        answer = answered({**CHAT, "choices": [choice], "usage": usage})
        gone = [weakref.ref(part) for part in (answer, answer.choices[0], answer.usage)]
        del answer
        gc.collect()
        assert [ref() for ref in gone] == [None, None, None]
        assert len(waiting(capture)) == 1
    (event,) = capture.requests
    found = {name: event[name] for name in ("input_tokens", "cache_read_tokens", "output_tokens")}
    assert found == {"input_tokens": 9, "cache_read_tokens": 5, "output_tokens": 4}
    assert event["tool_calls_count"] == len(message.get("tool_calls", ()))


def test_an_answer_with_more_than_openai_documents_is_read_as_a_whole() -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    usage = {**counts, "prompt_cache_hit_tokens": 3}
    with nothing_taken() as capture:
        answered({**CHAT, "usage": usage, "provider": "Fast Co"})
    (event,) = capture.requests
    assert event["cache_read_tokens"] == 3
    assert event["upstream_provider"] == "Fast Co"
