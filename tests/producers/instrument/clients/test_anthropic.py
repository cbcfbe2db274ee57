"""Calls of an instrumented Anthropic client become events, and behave as before."""

from __future__ import annotations

import gc
import json
from typing import Any

import anthropic
import httpx2
import pytest

from tests.fakes.openai_http import (
    MESSAGE,
    Pulled,
    answering,
    answering_async,
    body_of,
    message_sse,
    sse,
)
from tokentide.testing import Capture

ASK: dict[str, Any] = {
    "model": "claude-test-1",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "a question"}],
}


def answer(request: httpx2.Request) -> httpx2.Response:
    if body_of(request).get("stream"):
        return sse(message_sse())
    return httpx2.Response(200, json=MESSAGE)


def client(**options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(**{"api_key": "k", "http_client": answering(answer), **options})


def async_client(**options: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        **{"api_key": "k", "http_client": answering_async(answer), **options}
    )


def only(capture: Capture) -> dict[str, Any]:
    (event,) = capture.requests
    return event


def test_a_message_becomes_one_event_with_inclusive_counts(capture: Capture) -> None:
    assert type(client().messages.create(**ASK)).__name__ == "Message"
    event = only(capture)
    assert (event["provider"], event["server_address"]) == ("anthropic", "api.anthropic.com")
    assert (event["input_tokens"], event["cache_read_tokens"], event["output_tokens"]) == (14, 4, 2)
    assert (event["max_tokens"], event["finish_reasons"]) == (64, ["stop", "end_turn"])
    assert (event["status"], event["retry_count"]) == ("ok", 0)
    assert "a question" not in json.dumps(event)


async def test_asynchronous_and_beta_messages_are_recorded(capture: Capture) -> None:
    await async_client().messages.create(**ASK)
    client().beta.messages.create(**ASK)
    assert [event["input_tokens"] for event in capture.requests] == [14, 14]


def test_an_event_stream_is_watched_and_stays_what_it_is(capture: Capture) -> None:
    stream = client().messages.create(**ASK, stream=True)
    assert type(stream) is anthropic.Stream
    types = [event.type for event in stream]
    assert (types[0], types[-1]) == ("message_start", "message_stop")
    event = only(capture)
    assert (event["input_tokens"], event["output_tokens"], event["status"]) == (14, 2, "ok")
    assert (event["stream"], event["chunks"]) == (True, len(types))


def test_the_helper_stream_works_as_ever_and_leaves_one_event(capture: Capture) -> None:
    with client().messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == "hi"
        assert stream.get_final_message().usage.output_tokens == 2
    with client().messages.stream(**ASK) as stream:
        assert stream.get_final_text() == "hi"
    with client().beta.messages.stream(**ASK) as beta:
        beta.until_done()
    assert [event["output_tokens"] for event in capture.requests] == [2, 2, 2]


async def test_the_asynchronous_helper_stream_is_watched(capture: Capture) -> None:
    async with async_client().messages.stream(**ASK) as stream:
        assert "".join([text async for text in stream.text_stream]) == "hi"
    async with async_client().messages.stream(**ASK) as stream:
        async for _event in stream:
            break
    done, left = capture.requests
    assert (done["status"], done["output_tokens"]) == ("ok", 2)
    assert left["status"] == "abandoned"


def test_a_helper_stream_that_is_left_is_abandoned_when_its_block_ends(capture: Capture) -> None:
    source = Pulled(message_sse())
    api = client(http_client=answering(lambda _request: source.response))
    with api.messages.stream(**ASK) as stream:
        for event in stream:
            if event.type == "text":
                break
    assert (only(capture)["status"], source.is_closed) == ("abandoned", True)


def test_a_chunk_reaches_the_caller_before_the_next_one_is_pulled(capture: Capture) -> None:
    source = Pulled(message_sse())
    api = client(http_client=answering(lambda _request: source.response))
    for number, _event in enumerate(api.messages.create(**ASK, stream=True), 1):
        assert source.pulled == number
    assert only(capture)["status"] == "ok"


def test_raw_responses_are_what_they_were_and_count(capture: Capture) -> None:
    raw = client().messages.with_raw_response.create(**ASK)
    assert raw.parse().usage.output_tokens == 2
    raw = client().messages.with_raw_response.create(**ASK)
    assert raw.http_response.json()["id"] == "msg_1"
    del raw
    gc.collect()
    with client().messages.with_streaming_response.create(**ASK) as streamed:
        streamed.parse()
    assert [event["input_tokens"] for event in capture.requests] == [14, 14, 14]


def test_overload_is_retried_on_one_event_and_then_an_error(capture: Capture) -> None:
    def overloaded(_request: httpx2.Request) -> httpx2.Response:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        return httpx2.Response(529, headers={"retry-after-ms": "1"}, json=error)

    api = client(http_client=answering(overloaded), max_retries=2)
    with pytest.raises(anthropic.APIStatusError):
        api.messages.create(**ASK)
    event = only(capture)
    assert (event["status"], event["error_type"], event["http_status"]) == (
        "error",
        "overloaded",
        529,
    )
    assert event["retry_count"] == 2


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("https://us-east5-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://res.services.ai.azure.com/anthropic/", "azure.ai.inference"),
        ("http://localhost:4000", "anthropic"),
    ],
)
def test_the_provider_is_judged_by_the_address(
    capture: Capture, base_url: str, provider: str
) -> None:
    client(base_url=base_url).messages.create(**ASK)
    assert only(capture)["provider"] == provider


def test_the_packages_cloud_clients_are_recognised_by_their_class(capture: Capture) -> None:
    vertex = anthropic.AnthropicVertex(
        region="us-east5", project_id="p", access_token="t", http_client=answering(answer)
    )
    vertex.messages.create(**ASK)
    event = only(capture)
    assert (event["provider"], event["region"]) == ("gcp.vertex_ai", "us-east5")
    assert event["request_model"] == "claude-test-1"
