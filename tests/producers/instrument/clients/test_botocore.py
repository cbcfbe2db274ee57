"""Calls of botocore, and with it boto3: its real client, on answers in memory."""

from __future__ import annotations

import gc
import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokentide
from tests.fakes.bedrock_http import COUNTS, MESSAGE, Bedrock, Raw
from tokentide.testing import Capture, captured

exceptions = pytest.importorskip("botocore.exceptions")
response_module = importlib.import_module("botocore.response")
eventstream = importlib.import_module("botocore.eventstream")
base = importlib.import_module("botocore.client")
MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ASK: dict[str, Any] = {
    "modelId": MODEL,
    "messages": [{"role": "user", "content": [{"text": "a question"}]}],
}
INVOKE: dict[str, Any] = {"modelId": MODEL, "body": b'{"max_tokens": 9, "messages": []}'}
BODY = json.dumps(MESSAGE).encode()


@pytest.fixture(scope="module")
def shared() -> Bedrock:
    return Bedrock()  # a client takes a tenth of a second to make


@pytest.fixture
def bedrock(shared: Bedrock) -> Iterator[Bedrock]:
    shared.failures, shared.status, shared.breaks = 0, 200, None
    shared.raw = Raw([])
    shared.sent.clear()
    yield shared


def only(capture: Capture) -> dict[str, Any]:
    (event,) = capture.requests
    return event


# -- Converse -------------------------------------------------------------------------------------


def test_converse_becomes_one_event_and_its_answer_is_untouched(
    capture: Capture, bedrock: Bedrock
) -> None:
    answer = bedrock.client.converse(**ASK, inferenceConfig={"maxTokens": 7})
    assert (type(answer), answer["usage"]) == (dict, COUNTS)
    event = only(capture)
    assert (event["provider"], event["region"]) == ("aws.bedrock", "eu-west-1")
    assert event["server_address"] == "bedrock-runtime.eu-west-1.amazonaws.com"
    assert (event["request_model"], event["max_tokens"]) == (MODEL, 7)
    assert (event["input_tokens"], event["output_tokens"], event["status"]) == (10, 2, "ok")
    assert (event["response_id"], event["retry_count"]) == ("rid-1", 0)
    assert "a question" not in json.dumps(event)


def test_a_throttled_call_raises_as_ever_and_is_one_event(
    capture: Capture, bedrock: Bedrock
) -> None:
    bedrock.status, bedrock.failures = 429, 1
    with pytest.raises(exceptions.ClientError, match="slow down"):
        bedrock.client.converse(**ASK)
    event = only(capture)
    assert (event["status"], event["error_type"]) == ("error", "rate_limit")
    assert (event["error_code"], event["http_status"]) == ("ThrottlingException", 429)
    assert "stream" not in event


def test_a_stream_that_is_not_opened_is_a_failed_stream(capture: Capture, bedrock: Bedrock) -> None:
    bedrock.status, bedrock.failures = 429, 1
    with pytest.raises(exceptions.ClientError, match="slow down"):
        bedrock.client.converse_stream(**ASK)
    assert (only(capture)["status"], only(capture)["stream"]) == ("error", True)


def test_repeated_attempts_are_counted_in_one_event(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bedrock = Bedrock(retries={"max_attempts": 2, "mode": "standard"})
    bedrock.status, bedrock.failures = 429, 1
    endpoint = importlib.import_module("botocore.endpoint")
    monkeypatch.setattr(endpoint.time, "sleep", lambda _seconds: None)
    bedrock.client.converse(**ASK)
    assert bedrock.sent == ["converse", "converse"]
    assert (only(capture)["retry_count"], only(capture)["input_tokens"]) == (1, 10)


def test_arguments_that_botocore_refuses_are_still_its_own_error(
    capture: Capture, bedrock: Bedrock
) -> None:
    with pytest.raises(exceptions.ParamValidationError):
        bedrock.client.converse(**ASK, nonsense=1)
    assert (only(capture)["status"], only(capture)["usage_source"]) == ("error", "missing")


def test_other_operations_and_services_leave_no_event(capture: Capture, bedrock: Bedrock) -> None:
    with pytest.raises(exceptions.ParamValidationError):
        bedrock.client.apply_guardrail()
    assert capture.requests == []


# -- streams --------------------------------------------------------------------------------------

STREAMS: list[Any] = [
    pytest.param("converse_stream", "stream", ASK, 5, id="ConverseStream"),
    pytest.param(
        "invoke_model_with_response_stream", "body", INVOKE, 4, id="InvokeModelWithResponseStream"
    ),
]


@pytest.mark.parametrize(("method", "key", "arguments", "chunks"), STREAMS)
def test_a_stream_stays_botocores_own_and_counts_when_it_ends(
    capture: Capture, bedrock: Bedrock, method: str, key: str, arguments: Any, chunks: int
) -> None:
    answer = getattr(bedrock.client, method)(**arguments)
    assert type(answer[key]) is eventstream.EventStream
    assert capture.requests == []
    assert len(list(answer[key])) == chunks
    event = only(capture)
    assert (event["stream"], event["chunks"], event["status"]) == (True, chunks, "ok")
    assert (event["input_tokens"], event["output_tokens"]) == (10, 2)
    assert (event["response_id"], event["finish_reasons"]) == ("rid-1", ["stop", "end_turn"])
    assert 0 < event["ttft_ms"] <= event["duration_ms"]


def test_an_event_reaches_the_caller_before_the_next_is_pulled(
    capture: Capture, bedrock: Bedrock
) -> None:
    stream = bedrock.client.converse_stream(**ASK)["stream"]
    for number, _event in enumerate(stream, 1):
        assert bedrock.raw.pulled == number
    assert only(capture)["chunks"] == 5


@pytest.mark.parametrize(("method", "key", "arguments", "chunks"), STREAMS)
def test_a_stream_the_host_leaves_keeps_what_is_known(
    capture: Capture, bedrock: Bedrock, method: str, key: str, arguments: Any, chunks: int
) -> None:
    answer = getattr(bedrock.client, method)(**arguments)
    events = iter(answer[key])
    next(events)
    answer[key].close()
    event = only(capture)
    assert (event["status"], event["usage_source"], event["chunks"]) == ("abandoned", "missing", 1)
    assert event["response_id"] == "rid-1"
    assert ("input_tokens" in event) == (method != "converse_stream")
    del events, answer
    gc.collect()
    assert len(capture.requests) == 1


def test_a_stream_that_is_dropped_unread_is_abandoned(capture: Capture, bedrock: Bedrock) -> None:
    bedrock.client.converse_stream(**ASK)
    gc.collect()
    assert (only(capture)["status"], only(capture)["usage_source"]) == ("abandoned", "missing")


def test_a_stream_that_breaks_raises_as_ever_and_is_an_error(
    capture: Capture, bedrock: Bedrock
) -> None:
    bedrock.breaks = ConnectionResetError("reset")
    with pytest.raises(ConnectionResetError):
        list(bedrock.client.converse_stream(**ASK)["stream"])
    event = only(capture)
    assert (event["status"], event["error_type"], event["chunks"]) == ("error", "connection", 5)


# -- bodies ---------------------------------------------------------------------------------------


def read_in_lines(body: Any) -> bytes:
    return b"".join(body.iter_lines())


def read_into(body: Any) -> bytes:
    target = bytearray(len(BODY))
    assert body.readinto(target) == len(BODY)
    assert body.readinto(bytearray(8)) == 0
    return bytes(target)


READS: list[Any] = [
    pytest.param(lambda body: body.read(), id="read()"),
    pytest.param(lambda body: body.read(amt=None), id="read(amt=None)"),
    pytest.param(lambda body: body.read(10) + body.read(), id="read(10), read()"),
    pytest.param(lambda body: b"".join(body.iter_chunks(7)), id="iter_chunks"),
    pytest.param(b"".join, id="iteration"),
    pytest.param(read_in_lines, id="iter_lines"),
    pytest.param(read_into, id="readinto"),
]


@pytest.mark.parametrize("read", READS)
def test_a_body_is_the_hosts_to_read_in_any_way_and_counts_in_full(
    capture: Capture, bedrock: Bedrock, read: Callable[[Any], bytes]
) -> None:
    answer = bedrock.client.invoke_model(**INVOKE)
    assert type(answer["body"]) is response_module.StreamingBody
    assert bedrock.raw.tell() == 0, "nothing was read before the host read it"
    assert capture.requests == []
    assert read(answer["body"]) == BODY
    del answer
    event = only(capture)
    assert (event["input_tokens"], event["output_tokens"], event["status"]) == (10, 2, "ok")
    assert (event["finish_reasons"], event["response_id"]) == (["stop", "end_turn"], "rid-1")
    assert event["max_tokens"] == 9


def test_a_body_counts_when_it_was_read_and_not_again_when_it_is_dropped(
    capture: Capture, bedrock: Bedrock
) -> None:
    answer = bedrock.client.invoke_model(**INVOKE)
    assert json.load(answer["body"]) == MESSAGE
    assert only(capture)["finish_reasons"] == ["stop", "end_turn"]
    assert answer["body"].read() == b""
    del answer
    gc.collect()
    assert len(capture.requests) == 1


@pytest.mark.parametrize("size", [None, 3])
def test_a_body_that_is_not_read_to_its_end_counts_from_the_headers(
    capture: Capture, bedrock: Bedrock, size: int | None
) -> None:
    answer = bedrock.client.invoke_model(**INVOKE)
    if size is not None:
        answer["body"].read(size)
    del answer
    gc.collect()
    event = only(capture)
    assert (event["input_tokens"], event["output_tokens"], event["status"]) == (10, 2, "ok")
    assert "finish_reasons" not in event


def test_of_a_long_body_nothing_is_kept(
    capture: Capture, bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokentide.instrument.clients.botocore._MAX_KEPT", 20)
    body = bedrock.client.invoke_model(**INVOKE)["body"]
    assert b"".join(body.iter_chunks(7)) == BODY
    event = only(capture)
    assert (event["input_tokens"], event["usage_source"]) == (10, "provider")
    assert "finish_reasons" not in event


def test_a_body_that_breaks_off_raises_as_ever_and_is_an_error(
    capture: Capture, bedrock: Bedrock
) -> None:
    bedrock.breaks = TimeoutError("read timed out")
    body = bedrock.client.invoke_model(**INVOKE)["body"]
    with pytest.raises(TimeoutError):
        body.read()
    del body
    gc.collect()
    assert (only(capture)["status"], only(capture)["error_type"]) == ("error", "timeout")


# -- switching on and off -------------------------------------------------------------------------


def test_uninstrument_puts_the_classes_back(capture: Capture, bedrock: Bedrock) -> None:
    tokentide.uninstrument()
    for owner, name in (
        (base.BaseClient, "_make_api_call"),
        (eventstream.EventStream, "__iter__"),
        (eventstream.EventStream, "close"),
        (response_module.StreamingBody, "read"),
        (response_module.StreamingBody, "readinto"),
    ):
        assert getattr(owner, name).__module__.startswith("botocore")
    bedrock.client.invoke_model(**INVOKE)["body"].read()
    assert capture.requests == []


def test_one_client_alone_can_be_recorded(bedrock: Bedrock) -> None:
    with captured(service="s", linger_ms=1) as capture:
        alone = Bedrock()
        assert tokentide.instrument_client(alone.client, telemetry=capture.telemetry)
        bedrock.client.converse(**ASK)
        alone.client.converse(**ASK)
        list(alone.client.converse_stream(**ASK)["stream"])
        alone.client.invoke_model(**INVOKE)["body"].read()
        assert [event["input_tokens"] for event in capture.requests] == [10, 10, 10]
