"""Raw responses that the host reads itself: as lines, text, bytes, or in a class of its own."""

from __future__ import annotations

import gc
import json
from typing import Any

import httpx2
import pytest

from tests.fakes.openai_http import CHAT, Pulled, answering, chat_sse
from tests.producers.instrument.openai_calls import ASK, async_client, client
from tokentide.instrument import unrecorded
from tokentide.instrument.bodies import MAX_KEPT, EventReading
from tokentide.testing import Capture
from tokentide.usage.flavour import flavour

STREAM: dict[str, Any] = {**ASK, "stream": True, "stream_options": {"include_usage": True}}


def streaming_client() -> Any:
    return client(http_client=answering(lambda _request: Pulled(chat_sse()).response))


def json_client() -> Any:
    headers = {"content-type": "application/json"}
    return client(
        http_client=answering(
            lambda _request: httpx2.Response(200, headers=headers, stream=Pulled(json.dumps(CHAT)))
        )
    )


def only(capture: Capture) -> dict[str, Any]:
    (event,) = capture.requests
    return event


@pytest.mark.parametrize("way", ["iter_lines", "iter_bytes", "iter_text", "read"])
def test_a_stream_that_the_host_reads_itself_counts(capture: Capture, way: str) -> None:
    with streaming_client().chat.completions.with_streaming_response.create(**STREAM) as raw:
        pieces = getattr(raw, way)()
        text = pieces if way == "read" else [piece for piece in pieces]
    assert text
    event = only(capture)
    assert (event["status"], event["stream"], event["finish_reasons"]) == ("ok", True, ["stop"])
    assert (event["input_tokens"], event["output_tokens"]) == (10, 2)
    assert event["usage_source"] == "provider"


def test_what_the_host_reads_is_what_was_sent(capture: Capture) -> None:
    with streaming_client().chat.completions.with_streaming_response.create(**STREAM) as raw:
        lines = list(raw.iter_lines())
    with streaming_client().chat.completions.with_streaming_response.create(**STREAM) as raw:
        assert raw.http_response.read().decode().splitlines() == lines
    assert lines == chat_sse().splitlines()
    assert len(capture.requests) == 2


def test_a_stream_left_in_the_middle_is_abandoned(capture: Capture) -> None:
    with streaming_client().chat.completions.with_streaming_response.create(**STREAM) as raw:
        next(raw.iter_lines())
    gc.collect()
    event = only(capture)
    assert (event["status"], event["usage_source"]) == ("abandoned", "missing")


def test_an_answer_read_as_bytes_counts_once_it_is_whole(capture: Capture) -> None:
    slow = json_client()
    with slow.chat.completions.with_streaming_response.create(**ASK) as raw:
        assert json.loads(b"".join(raw.iter_bytes(7))) == CHAT
    with slow.chat.completions.with_streaming_response.create(**ASK) as raw:
        next(raw.iter_bytes(7))
    whole, left = capture.requests
    assert (whole["status"], whole["input_tokens"]) == ("ok", 10)
    assert "stream" not in whole
    assert (left["status"], left["usage_source"]) == ("abandoned", "missing")


def test_a_raw_stream_that_is_parsed_is_watched_once(capture: Capture) -> None:
    with streaming_client().chat.completions.with_streaming_response.create(**STREAM) as raw:
        stream: Any = raw.parse()
        assert len(list(stream)) == 4
    assert (only(capture)["chunks"], only(capture)["input_tokens"]) == (4, 10)


@pytest.mark.parametrize("kind", [httpx2.Response, str, dict, object])
def test_an_answer_in_a_class_of_the_hosts_choice_counts(capture: Capture, kind: Any) -> None:
    client().post("chat/completions", cast_to=kind, body=ASK)
    gc.collect()
    event = only(capture)
    assert (event["request_model"], event["input_tokens"]) == ("gpt-5-mini", 10)
    assert (event["status"], event["usage_source"]) == ("ok", "provider")


async def test_asynchronous_streams_count_as_well(capture: Capture) -> None:
    create = async_client().chat.completions.with_streaming_response.create
    async with create(**STREAM) as raw:
        assert [line async for line in raw.iter_lines()]
    async with create(**ASK) as raw:
        assert [piece async for piece in raw.iter_bytes()]
    streamed, whole = capture.requests
    assert (streamed["stream"], streamed["input_tokens"]) == (True, 10)
    assert whole["input_tokens"] == 10


def test_events_may_begin_and_end_anywhere() -> None:
    sent = chat_sse().replace("\n", "\r\n").encode()
    for size in (1, 5, len(sent)):
        reading = EventReading(flavour("openai_chat").read_stream())
        for at in range(0, len(sent), size):
            reading.add(sent[at : at + size])
        assert reading.fields()["input_tokens"] == 10


def test_a_line_without_an_end_is_let_go() -> None:
    reading = EventReading(flavour("openai_chat").read_stream())
    for _ in range(3):
        reading.add(b"x" * MAX_KEPT)
    assert len(reading._line) <= MAX_KEPT


def test_an_event_of_lines_without_end_takes_no_memory_and_the_next_one_counts() -> None:
    reading = EventReading(flavour("openai_chat").read_stream())
    line = b"data:" + b"x" * 1_000 + b"\n"
    for _ in range(2):
        reading.add(line * (MAX_KEPT // 1_000))
        assert sum(map(len, reading._data)) <= MAX_KEPT
    reading.add(b"\n" + chat_sse().encode())
    assert reading.fields()["input_tokens"] == 10


def test_speech_is_counted_by_its_characters_where_there_was_an_answer(capture: Capture) -> None:
    def speak(request: httpx2.Request) -> httpx2.Response:
        is_good = json.loads(request.content)["input"] != "no"
        return httpx2.Response(200 if is_good else 400, content=b"RIFF", json=None)

    api = client(http_client=answering(speak))
    api.audio.speech.create(model="tts-1", voice="alloy", input="hello")
    with api.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="hello"
    ) as raw:
        assert raw.read() == b"RIFF"
    with pytest.raises(Exception, match="400"):
        api.audio.speech.create(model="tts-1", voice="alloy", input="no")
    whole, streamed, failed = capture.requests
    for event in (whole, streamed):
        assert (event["operation"], event["other_units"]) == ("speech", {"characters": 5})
        assert event["usage_source"] == "estimated"
    assert (failed["status"], failed["usage_source"]) == ("error", "missing")
    assert "other_units" not in failed


def test_what_costs_money_and_is_not_recorded_is_said_once(
    capture: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    unrecorded._logged.clear()
    api = client(http_client=answering(lambda _request: httpx2.Response(200, json={"id": "b"})))
    for _ in range(2):
        api.batches.create(
            completion_window="24h", endpoint="/v1/chat/completions", input_file_id="f"
        )
    api.moderations.create(input="x")
    assert capture.requests == []
    logged = [record.message for record in caplog.records if record.name == "tokentide"]
    assert logged == [
        "batch jobs of openai: their cost is not recorded; see docs/producer.md",
    ]
