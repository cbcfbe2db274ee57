"""Content, detectors and the redact hook with a real client, instrumented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

import tokentide
from tests.fakes.openai_http import CHAT, answering, body_of, chat_sse, response_sse, sse
from tokentide.testing import Capture, captured

MESSAGES: Any = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "mail ann@example.org"},
]
ASK: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES}


@contextmanager
def instrumented(**settings: Any) -> Iterator[Capture]:
    with captured(service="s", linger_ms=1, **settings) as capture:
        tokentide.instrument(telemetry=capture.telemetry)
        try:
            yield capture
        finally:
            tokentide.uninstrument()


def client() -> openai.OpenAI:
    return openai.OpenAI(api_key="k", http_client=answering(answer))


def answer(request: httpx2.Request) -> httpx2.Response:
    if not body_of(request).get("stream", False):
        return httpx2.Response(200, json=CHAT)
    is_response = request.url.path.endswith("/responses")
    return sse(response_sse() if is_response else chat_sse())


def text_of(record: dict[str, Any], side: str) -> str:
    return "".join(part["text"] for part in record[side])


def test_by_default_an_instrumented_call_says_nothing_of_its_texts() -> None:
    with instrumented() as capture:
        answered = client().chat.completions.create(**ASK).choices[0].message.content
        (event,) = capture.requests
        assert capture.content == []
    assert answered
    assert answered not in str(event)
    assert "ann@example.org" not in str(event)
    assert "tags" not in event


def test_a_call_is_captured_and_counted_beside_its_event() -> None:
    with instrumented(capture_content="all", detect="all") as capture:
        answered = client().chat.completions.create(**ASK).choices[0].message.content
        (event,) = capture.requests
        (record,) = capture.content
    assert record["event_id"] == event["event_id"]
    assert [part["role"] for part in record["input"]] == ["system", "user"]
    assert text_of(record, "output") == answered
    assert event["tags"]["sensitive.email"] == "1"
    assert "ann@example.org" not in str(event)


def test_a_stream_is_captured_as_the_text_it_made() -> None:
    with instrumented(capture_content="output") as capture:
        made = ""
        for chunk in client().chat.completions.create(**ASK, stream=True):
            if chunk.choices:
                made += chunk.choices[0].delta.content or ""
        (record,) = capture.content
        assert made
        assert text_of(record, "output") == made
        assert "input" not in record


def test_a_stream_of_the_responses_api_is_captured_once() -> None:
    with instrumented(capture_content="all") as capture:
        made = ""
        for event in client().responses.create(model="gpt-5", input="who?", stream=True):
            if event.type == "response.output_text.delta":
                made += event.delta
        (record,) = capture.content
    assert text_of(record, "input") == "who?"
    assert text_of(record, "output") == made


def test_a_stream_left_early_is_captured_as_far_as_it_came() -> None:
    with instrumented(capture_content="output") as capture:
        with client().chat.completions.create(**ASK, stream=True) as stream:
            chunks = iter(stream)
            made = "".join(
                (chunk.choices[0].delta.content or "") if chunk.choices else ""
                for chunk in (next(chunks), next(chunks))
            )
        records = capture.content
    assert "".join(text_of(record, "output") for record in records) == made


def test_inside_a_block_of_the_host_there_is_one_event_and_one_record() -> None:
    with instrumented(capture_content="all") as capture:
        with capture.telemetry.request(feature="answer"):
            client().chat.completions.create(**ASK)
        (event,) = capture.requests
        (record,) = capture.content
    assert event["feature"] == "answer"
    assert record["event_id"] == event["event_id"]
    assert "ann@example.org" not in str(event)


def test_the_hook_sees_instrumented_calls_before_they_are_queued() -> None:
    seen: list[str] = []

    def hook(event: dict[str, Any]) -> dict[str, Any] | None:
        seen.append(event["type"])
        return None if event["request_model"] == "gpt-5-mini" else event

    with instrumented(redact=hook) as capture:
        client().chat.completions.create(**ASK)
        client().chat.completions.create(**{**ASK, "model": "gpt-5"})
        (event,) = capture.requests
        assert event["request_model"] == "gpt-5"
        assert capture.telemetry.stats().dropped == {"redacted": 1}
    assert seen == ["request", "request"]
