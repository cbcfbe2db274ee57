from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai._legacy_response import LegacyAPIResponse
from openai._response import APIResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

import tokentide
from tests.fakes.openai_http import (
    CHAT,
    CHAT_CHUNKS,
    RESPONSE,
    Pulled,
    answering,
    answering_async,
    body_of,
    chat_sse,
    response_sse,
    sse,
)
from tokentide.testing import Capture, captured
from tokentide_schemas import EVENT_ADAPTER

MESSAGES: Any = [{"role": "user", "content": "a question"}]
ASK: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES}


@pytest.fixture
def capture() -> Iterator[Capture]:
    with captured(service="s", linger_ms=1) as capture:
        tokentide.instrument(telemetry=capture.telemetry)
        try:
            yield capture
        finally:
            tokentide.uninstrument()
        for event in capture.events():
            EVENT_ADAPTER.validate_python(event)


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
    slow = client(http_client=answering(lambda _request: Pulled(json.dumps(CHAT)).response))
    with slow.chat.completions.with_streaming_response.create(**ASK) as raw:
        assert b"".join(raw.iter_bytes())
    with slow.chat.completions.with_streaming_response.create(**ASK):
        pass
    parsed, read, consumed, unread = capture.requests
    assert (parsed["input_tokens"], read["input_tokens"]) == (10, 10)
    assert (consumed["status"], consumed["usage_source"]) == ("ok", "missing")
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


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_stays_the_clients_own_object_with_all_it_has(capture: Capture) -> None:
    stream = client().chat.completions.create(**ASK, stream=True)
    assert type(stream) is openai.Stream
    assert stream.response.status_code == 200
    chunks = list(stream)
    assert all(type(chunk) is ChatCompletionChunk for chunk in chunks)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["a", "b", None]
    event = only(capture)
    assert (event["stream"], event["chunks"], event["status"]) == (True, 3, "ok")
    assert 0 < event["ttft_ms"] <= event["duration_ms"]
    assert event["max_chunk_gap_ms"] >= 0
    assert event["usage_source"] == "missing", "usage was not asked for"


def test_a_chunk_reaches_the_caller_before_the_next_one_is_pulled(capture: Capture) -> None:
    source = Pulled(chat_sse())
    stream = streaming(source).chat.completions.create(**ASK, stream=True)
    for number, _chunk in enumerate(stream, 1):
        assert source.pulled == number
    assert only(capture)["input_tokens"] == 10


@pytest.mark.parametrize("how", ["close", "exit", "drop", "unread", "generator"])
def test_a_stream_that_is_left_is_one_abandoned_event(capture: Capture, how: str) -> None:
    source = Pulled(chat_sse())
    stream: Any = streaming(source).chat.completions.create(**ASK, stream=True)
    if how == "close":
        next(stream)
        stream.close()
        assert len(capture.requests) == 1
    elif how == "exit":
        with stream:
            next(stream)
        assert len(capture.requests) == 1
    elif how == "drop":
        next(stream)
    elif how == "generator":
        outer = (chunk for chunk in stream)
        next(outer)
        outer.close()
        del outer
    del stream
    gc.collect()
    event = only(capture)
    assert (event["status"], event["usage_source"]) == ("abandoned", "missing")
    assert event["chunks"] == (0 if how == "unread" else 1)


def test_a_stream_that_is_closed_after_its_last_word_is_complete(capture: Capture) -> None:
    stream = client().chat.completions.create(**ASK, stream=True)
    for chunk in stream:
        if chunk.choices[0].finish_reason:
            break
    stream.close()
    assert (only(capture)["status"], only(capture)["finish_reasons"]) == ("ok", ["stop"])


def test_a_stream_can_be_read_further_after_close_as_without_us(capture: Capture) -> None:
    def first_and_rest() -> list[str | None]:
        stream = client().chat.completions.create(**ASK, stream=True)
        first = next(stream)
        stream.close()
        return [chunk.choices[0].delta.content for chunk in [first, *stream]]

    with_us = first_and_rest()
    tokentide.uninstrument()
    assert with_us == first_and_rest()


def test_an_error_in_the_middle_of_a_stream_passes_through_and_is_an_error_event(
    capture: Capture,
) -> None:
    source = Pulled(chat_sse(), httpx2.ReadTimeout("slow"), fails_at=1)
    stream = streaming(source).chat.completions.create(**ASK, stream=True)
    next(stream)
    with pytest.raises(openai.APITimeoutError):
        next(stream)
    event = only(capture)
    assert (event["status"], event["error_type"], event["chunks"]) == ("error", "timeout", 1)


def test_helper_streams_leave_one_event_read_or_left(capture: Capture) -> None:
    api = client()
    with api.chat.completions.stream(**ASK) as stream:
        for _event in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "ab"
    with api.chat.completions.stream(**ASK) as stream:
        next(iter(stream))
    assert len(capture.requests) == 2
    with api.responses.stream(model="gpt-5-mini", input="q") as responses:
        assert responses.get_final_response().id == "resp_1"
    with api.responses.stream(model="gpt-5-mini", input="q") as responses:
        next(iter(responses))
    assert [event["status"] for event in capture.requests] == ["ok", "abandoned", "ok", "abandoned"]
    assert capture.requests[2]["input_tokens"] == 10


def test_a_responses_stream_counts_its_first_token_not_its_opening(capture: Capture) -> None:
    stream = client().responses.create(model="gpt-5-mini", input="q", stream=True)
    assert next(stream).type == "response.created"
    stream.close()
    assert "ttft_ms" not in only(capture)


async def test_an_asynchronous_stream_is_watched(capture: Capture) -> None:
    stream = await async_client().chat.completions.create(**ASK, stream=True)
    assert type(stream) is openai.AsyncStream
    assert len([chunk async for chunk in stream]) == 3
    assert (only(capture)["chunks"], only(capture)["status"]) == (3, "ok")


async def test_asynchronous_streams_that_are_left_are_abandoned_events(capture: Capture) -> None:
    api = async_client()
    closed = await api.chat.completions.create(**ASK, stream=True)
    await anext(closed)
    await closed.close()
    assert len(capture.requests) == 1
    async with await api.chat.completions.create(**ASK, stream=True) as left:
        await anext(left)
    assert len(capture.requests) == 2
    async with api.chat.completions.stream(**ASK) as helper:
        await anext(helper)
    assert len(capture.requests) == 3
    dropped = await api.chat.completions.create(**ASK, stream=True)
    await anext(dropped)
    del dropped, closed, left, helper
    gc.collect()
    for _turn in range(3):
        await asyncio.sleep(0)  # the loop closes generators that were dropped
    assert [event["status"] for event in capture.requests] == ["abandoned"] * 4


async def test_a_cancelled_stream_is_a_cancelled_event(capture: Capture) -> None:
    reached = asyncio.Event()

    class Hanging(Pulled):
        async def __aiter__(self) -> Any:
            yield next(iter(self))
            reached.set()
            await asyncio.Event().wait()

    source = Hanging(chat_sse())
    api = async_client(http_client=answering_async(lambda _request: source.response))

    async def consume() -> None:
        async for _chunk in await api.chat.completions.create(**ASK, stream=True):
            pass

    task = asyncio.create_task(consume())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (only(capture)["status"], only(capture)["chunks"]) == ("cancelled", 1)


async def test_leaving_a_stream_because_of_a_cancellation_says_so(capture: Capture) -> None:
    async def consume() -> None:
        async with await async_client().chat.completions.create(**ASK, stream=True) as stream:
            await anext(stream)
            await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    for _turn in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert only(capture)["status"] == "cancelled"


# -- usage that was not asked for -----------------------------------------------------------------


def test_usage_of_streams_is_asked_for_only_when_the_setting_says_so() -> None:
    sent: list[Any] = []

    def noting(request: httpx2.Request) -> httpx2.Response:
        sent.append(body_of(request).get("stream_options"))
        return answer(request)

    with captured(service="s", linger_ms=1, include_usage=True) as capture:
        tokentide.instrument(telemetry=capture.telemetry)
        try:
            api = client(http_client=answering(noting))
            ours = list(api.chat.completions.create(**ASK, stream=True))
            own: Any = {"include_usage": True}
            theirs = list(api.chat.completions.create(**ASK, stream=True, stream_options=own))
            refused: Any = {"include_usage": False}
            none = list(api.chat.completions.create(**ASK, stream=True, stream_options=refused))
            raw = api.chat.completions.with_raw_response.create(**ASK, stream=True).parse()
            as_sent = list(raw)
        finally:
            tokentide.uninstrument()
        assert [len(chunks) for chunks in (ours, theirs, none, as_sent)] == [3, 4, 3, 3]
        assert all(chunk.choices for chunk in ours), "the extra chunk is kept from the host"
        assert sent == [{"include_usage": True}, own, refused, None]
        assert [event.get("input_tokens") for event in capture.requests] == [10, 10, None, None]


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
