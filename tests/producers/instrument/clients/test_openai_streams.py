"""Streams of OpenAI: watched to whatever end they come, and the client's own objects."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

import tokentide
from tests.fakes.openai_http import (
    Pulled,
    answering,
    answering_async,
    body_of,
    chat_sse,
)
from tests.producers.instrument.openai_calls import (
    ASK,
    answer,
    async_client,
    client,
    only,
    streaming,
)
from tokentide.testing import Capture, captured


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
