"""Calls of an instrumented OpenAI client become events, and behave as before."""

from __future__ import annotations

import gc
import json
from typing import Any

import httpx2
import openai
import pytest
from openai._legacy_response import LegacyAPIResponse
from openai._response import APIResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from tests.fakes.openai_http import (
    CHAT,
    CHAT_CHUNKS,
    Pulled,
    answering,
    answering_async,
)
from tests.producers.instrument.openai_calls import ASK, answer, async_client, client, only
from tokentide.testing import Capture

# -- whole responses ------------------------------------------------------------------------------


def test_a_chat_call_becomes_one_event_and_its_result_is_the_clients_own(capture: Capture) -> None:
    result = client().chat.completions.create(**ASK, temperature=0.5, max_completion_tokens=99)
    assert type(result) is ChatCompletion
    event = only(capture)
    assert (event["provider"], event["server_address"]) == ("openai", "api.openai.com")
    assert (event["request_model"], event["response_model"]) == (
        "gpt-5-mini",
        "gpt-5-mini-2025-08-07",
    )
    assert (event["input_tokens"], event["output_tokens"], event["cache_read_tokens"]) == (10, 2, 4)
    assert (event["status"], event["usage_source"], event["retry_count"]) == ("ok", "provider", 0)
    assert (event["temperature"], event["max_tokens"]) == (0.5, 99)
    assert event["finish_reasons"] == ["stop"]
    assert event["duration_ms"] > 0
    assert "a question" not in json.dumps(event)


async def test_an_asynchronous_call_is_recorded_the_same(capture: Capture) -> None:
    await async_client().chat.completions.create(**ASK)
    assert (only(capture)["input_tokens"], only(capture)["status"]) == (10, "ok")


def test_every_kind_of_call_has_its_operation_and_counts(capture: Capture) -> None:
    api = client()
    assert type(api.responses.create(model="gpt-5-mini", input="q")) is Response
    api.embeddings.create(model="text-embedding-3", input="q")
    api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF"))
    api.images.generate(model="gpt-image-1", prompt="q")
    responses, embeddings, speech, images = capture.requests
    assert (responses["operation"], responses["reasoning_tokens"]) == ("chat", 1)
    assert (embeddings["operation"], embeddings["input_tokens"]) == ("embeddings", 7)
    assert (speech["request_model"], speech["output_tokens"]) == ("gpt-4o-transcribe", 3)
    assert (images["request_model"], images["output_tokens"]) == ("gpt-image-1", 100)


def test_calls_that_cost_no_tokens_leave_no_event(capture: Capture) -> None:
    client().models.list()
    assert capture.requests == []


def test_parse_helpers_leave_one_event(capture: Capture) -> None:
    client().chat.completions.parse(**ASK)
    client().responses.parse(model="gpt-5-mini", input="q")
    assert [event["input_tokens"] for event in capture.requests] == [10, 10]


# -- raw responses --------------------------------------------------------------------------------


def test_a_raw_response_is_the_clients_own_and_counts_when_parsed(capture: Capture) -> None:
    raw = client().chat.completions.with_raw_response.create(**ASK)
    assert type(raw) is LegacyAPIResponse
    assert capture.requests == []
    assert type(raw.parse()) is ChatCompletion
    assert raw.parse() is raw.parse()
    assert only(capture)["input_tokens"] == 10


def test_a_raw_response_that_is_never_parsed_counts_when_it_is_dropped(capture: Capture) -> None:
    raw = client().chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["content-type"] == "application/json"
    del raw
    gc.collect()
    assert (only(capture)["input_tokens"], only(capture)["status"]) == (10, "ok")


def test_a_raw_response_parsed_into_something_else_counts_from_its_body(capture: Capture) -> None:
    raw = client().chat.completions.with_raw_response.create(**ASK)
    assert raw.parse(to=str) == httpx2.Response(200, json=CHAT).text
    assert only(capture)["input_tokens"] == 10


def test_a_streamed_raw_response_counts_however_it_is_read(capture: Capture) -> None:
    api = client()
    with api.chat.completions.with_streaming_response.create(**ASK) as raw:
        assert type(raw) is APIResponse
        raw.parse()
    with api.chat.completions.with_streaming_response.create(**ASK) as raw:
        raw.json()
    headers = {"content-type": "application/json"}
    slow = client(
        http_client=answering(
            lambda _request: httpx2.Response(200, headers=headers, stream=Pulled(json.dumps(CHAT)))
        )
    )
    with slow.chat.completions.with_streaming_response.create(**ASK) as raw:
        assert b"".join(raw.iter_bytes())
    with slow.chat.completions.with_streaming_response.create(**ASK):
        pass
    parsed, read, consumed, unread = capture.requests
    assert (parsed["input_tokens"], read["input_tokens"]) == (10, 10)
    assert (consumed["status"], consumed["input_tokens"]) == ("ok", 10)
    assert (unread["status"], unread["usage_source"]) == ("abandoned", "missing")


def test_a_raw_response_of_a_stream_counts_when_the_stream_ends(capture: Capture) -> None:
    raw = client().chat.completions.with_raw_response.create(**ASK, stream=True)
    stream = raw.parse()
    assert isinstance(stream, openai.Stream)
    assert len(list(stream)) == len(CHAT_CHUNKS)
    event = only(capture)
    assert (event["stream"], event["chunks"], event["finish_reasons"]) == (True, 3, ["stop"])


async def test_asynchronous_raw_responses_count_as_well(capture: Capture) -> None:
    api = async_client()
    (await api.chat.completions.with_raw_response.create(**ASK)).parse()
    async with api.chat.completions.with_streaming_response.create(**ASK) as raw:
        await raw.parse()
    async with api.chat.completions.with_streaming_response.create(**ASK) as raw:
        await raw.read()
    assert [event["input_tokens"] for event in capture.requests] == [10, 10, 10]


# -- failures and retries -------------------------------------------------------------------------


def failing(times: int, status: int, headers: dict[str, str], error: Any) -> Any:
    left = [times]

    def respond(request: httpx2.Request) -> httpx2.Response:
        if left[0] > 0:
            left[0] -= 1
            return httpx2.Response(status, headers=headers, json={"error": error})
        return answer(request)

    return respond


def test_retries_of_the_client_show_on_the_one_event(capture: Capture) -> None:
    slow = failing(2, 429, {"retry-after-ms": "1"}, {"code": "rate_limit_exceeded"})
    client(http_client=answering(slow)).chat.completions.create(**ASK)
    assert (only(capture)["retry_count"], only(capture)["status"]) == (2, "ok")


async def test_retries_of_the_asynchronous_client_show_too(capture: Capture) -> None:
    slow = failing(1, 500, {"retry-after-ms": "1"}, {})
    await async_client(http_client=answering_async(slow)).chat.completions.create(**ASK)
    assert only(capture)["retry_count"] == 1


def test_a_failure_passes_through_and_is_an_error_event(capture: Capture) -> None:
    refuse = failing(9, 429, {"retry-after": "3"}, {"code": "rate_limit_exceeded"})
    api = client(http_client=answering(refuse), max_retries=0)
    with pytest.raises(openai.RateLimitError):
        api.chat.completions.create(**ASK)
    event = only(capture)
    assert (event["status"], event["error_type"]) == ("error", "rate_limit")
    assert (event["http_status"], event["retry_after_ms"]) == (429, 3000.0)
    assert event["request_model"] == "gpt-5-mini"


def test_arguments_the_client_refuses_raise_as_without_us(capture: Capture) -> None:
    broken: Any = client().chat.completions
    with pytest.raises(TypeError):
        broken.create(model="gpt-5-mini")
    assert capture.requests == []


# -- who answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.perplexity.ai", "perplexity"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://res.openai.azure.com/openai/v1", "azure.ai.openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
        ("https://notopenai.com/v1", "openai"),
    ],
)
def test_the_provider_is_judged_by_the_address(
    capture: Capture, base_url: str, provider: str
) -> None:
    client(base_url=base_url).chat.completions.create(**ASK)
    event = only(capture)
    assert event["provider"] == provider
    assert event["server_address"] == httpx2.URL(base_url).host
    assert event.get("server_port") == (8000 if "8000" in base_url else None)


def test_azure_clients_are_recognised_by_their_class_and_keep_the_deployment_name(
    capture: Capture,
) -> None:
    azure = openai.AzureOpenAI(
        api_key="k",
        api_version="2025-01-01",
        azure_endpoint="https://gateway.internal",
        http_client=answering(answer),
    )
    azure.chat.completions.create(**{**ASK, "model": "my-deployment"})
    event = only(capture)
    assert (event["provider"], event["server_address"]) == ("azure.ai.openai", "gateway.internal")
    assert (event["request_model"], event["response_model"]) == (
        "my-deployment",
        "gpt-5-mini-2025-08-07",
    )


def test_perplexity_and_xai_are_read_in_their_own_dialect(capture: Capture) -> None:
    details = {"total_tokens": 17, "completion_tokens_details": {"reasoning_tokens": 5}}
    counted = {**CHAT, "usage": {**CHAT["usage"], **details}}
    api = client(
        base_url="https://api.x.ai/v1",
        http_client=answering(lambda _request: httpx2.Response(200, json=counted)),
    )
    api.chat.completions.create(**ASK)
    assert only(capture)["output_tokens"] == 7, "xAI's completion tokens exclude reasoning"
