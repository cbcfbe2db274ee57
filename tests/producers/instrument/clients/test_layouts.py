"""Clients that are not installed here: their class layouts, see `tests.fakes.client_layouts`."""

from __future__ import annotations

import gc
import sys
from typing import Any

import httpx2
import pytest

import tokentide
from tests.fakes import client_layouts as fakes
from tests.fakes import google_layouts
from tokentide.testing import Capture

ASK: dict[str, Any] = {"model": "a-model", "messages": []}
GEMINI: dict[str, Any] = {"model": "models/gemini-2.5-flash", "contents": "q"}


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in fakes.modules().items():
        monkeypatch.setitem(sys.modules, name, module)


def only(capture: Capture) -> dict[str, Any]:
    (event,) = capture.requests
    return event


# -- google-genai ---------------------------------------------------------------------------------


def test_gemini_has_one_event_per_request_also_where_functions_are_called(
    capture: Capture,
) -> None:
    models = fakes.Models(fakes.BaseApiClient())
    assert models.generate_content(**GEMINI).response_id == "g1"
    assert len(capture.requests) == 2
    event = capture.requests[0]
    assert (event["provider"], event["operation"]) == ("gcp.gemini", "generate_content")
    assert (event["request_model"], event["input_tokens"]) == ("gemini-2.5-flash", 10)
    assert event["retry_count"] == 0


def test_vertex_ai_is_recognised_and_its_retries_are_counted(capture: Capture) -> None:
    models = fakes.Models(fakes.BaseApiClient(vertexai=True, failures=2))
    models._generate_content(**GEMINI)
    event = only(capture)
    assert (event["provider"], event["region"]) == ("gcp.vertex_ai", "us-central1")
    assert event["retry_count"] == 2


def test_a_gemini_stream_counts_from_its_first_step_and_not_before(capture: Capture) -> None:
    api = fakes.BaseApiClient()
    models = fakes.Models(api)
    unread = models._generate_content_stream(**GEMINI)
    del unread
    gc.collect()
    assert (capture.requests, api.sent) == ([], 0), "its request was never sent"
    assert len(list(models._generate_content_stream(**GEMINI))) == 2
    left = models._generate_content_stream(**GEMINI)
    next(left)
    left.close()  # type: ignore[attr-defined]
    done, abandoned = capture.requests
    assert (done["stream"], done["chunks"], done["input_tokens"]) == (True, 2, 10)
    assert abandoned["chunks"] == 1


def test_the_context_where_a_stream_was_made_holds_for_it(capture: Capture) -> None:
    with tokentide.context(tenant="acme"):
        stream = fakes.Models(fakes.BaseApiClient())._generate_content_stream(**GEMINI)
    assert len(list(stream)) == 2
    assert only(capture)["tenant"] == "acme"


async def test_asynchronous_gemini_calls_are_recorded(capture: Capture) -> None:
    models = fakes.AsyncModels(fakes.BaseApiClient(failures=1))
    await models._generate_content(**GEMINI)
    assert len([chunk async for chunk in await models._generate_content_stream(**GEMINI)]) == 2
    assert [event["retry_count"] for event in capture.requests] == [1, 1]
    assert [event.get("chunks") for event in capture.requests] == [None, 2]


# -- mistralai ------------------------------------------------------------------------------------


def test_mistral_calls_and_their_helpers_are_one_event_each(capture: Capture) -> None:
    chat = fakes.Chat()
    chat.complete(**ASK)
    chat.parse(dict, **ASK)
    first, second = capture.requests
    assert (first["provider"], first["server_address"]) == ("mistral_ai", "api.mistral.ai")
    assert (first["input_tokens"], second["input_tokens"]) == (10, 10)


def test_a_mistral_stream_stays_what_it_is_and_ends_read_or_closed(capture: Capture) -> None:
    stream = fakes.Chat().stream(**ASK)
    assert type(stream) is fakes.EventStream
    assert len(list(stream)) == 2
    with fakes.Chat().stream(**ASK) as left:
        next(left)
    done, abandoned = capture.requests
    assert (done["input_tokens"], done["status"], done["chunks"]) == (10, "ok", 2)
    assert (abandoned["status"], abandoned["usage_source"]) == ("abandoned", "missing")


async def test_asynchronous_mistral_calls_are_recorded(capture: Capture) -> None:
    chat = fakes.Chat()
    await chat.complete_async(**ASK)
    assert len([event async for event in await chat.stream_async(**ASK)]) == 2
    async with await chat.stream_async(**ASK) as left:
        await anext(left)
    assert [event["status"] for event in capture.requests] == ["ok", "ok", "abandoned"]


async def test_mistral_conversations_are_recorded_with_the_model_that_answered(
    capture: Capture,
) -> None:
    conversations = fakes.Conversations()
    conversations.append(conversation_id="conv1", inputs="q")
    await conversations.start_async(inputs="q", agent_id="an-agent")
    assert len(list(conversations.start_stream(inputs="q", model="a-model"))) == 3
    for event in capture.requests:
        assert (event["response_model"], event["input_tokens"]) == ("mistral-small-latest", 10)
        assert (event["conversation_id"], event["status"]) == ("conv1", "ok")
    assert [event.get("chunks") for event in capture.requests] == [None, None, 3]


def test_mistral_on_azure_is_recognised(capture: Capture) -> None:
    fakes.AzureChat().complete(**ASK)
    assert only(capture)["provider"] == "azure.ai.inference"


# -- cohere ---------------------------------------------------------------------------------------


def test_a_cohere_call_is_recorded_with_billed_tokens(capture: Capture) -> None:
    assert fakes.RawV2Client().chat(**ASK).data.id == "co1"
    event = only(capture)
    assert (event["provider"], event["input_tokens"]) == ("cohere", 10)


def test_cohere_streams_end_read_left_or_failed(capture: Capture) -> None:
    raw = fakes.RawV2Client()
    assert len(list(fakes.V2Client(raw).chat_stream(**ASK))) == 3
    left = fakes.V2Client(raw).chat_stream(**ASK)
    next(left)
    left.close()  # type: ignore[attr-defined]
    failing = fakes.V2Client(fakes.RawV2Client(ConnectionError("down"))).chat_stream(**ASK)
    with pytest.raises(ConnectionError):
        next(failing)
    done, abandoned, failed = capture.requests
    assert (done["input_tokens"], done["status"], done["chunks"]) == (10, "ok", 3)
    assert abandoned["status"] == "abandoned"
    assert (failed["status"], failed["error_type"]) == ("error", "connection")
    assert raw.left == 2, "the client's own clean-up has run"


def test_the_first_api_of_cohere_is_recorded_too(capture: Capture) -> None:
    raw = fakes.RawBaseCohere()
    raw.chat(message="q", model="a-model")
    with raw.chat_stream(message="q", model="a-model") as response:
        assert len(list(response.data)) == 3
    for event in capture.requests:
        assert (event["input_tokens"], event["finish_reasons"]) == (10, ["stop", "COMPLETE"])


@pytest.mark.parametrize("service", ["bedrock", "sagemaker"])
def test_cohere_on_amazons_servers_is_recognised(capture: Capture, service: str) -> None:
    raw = fakes.RawV2Client()
    raw._client_wrapper.httpx_client = fakes.amazon_hooks(service, "us-west-2")
    raw.chat(**ASK)
    event = only(capture)
    assert (event["provider"], event["region"]) == (f"aws.{service}", "us-west-2")
    assert "server_address" not in event


def test_an_error_of_the_host_in_a_cohere_block_reaches_the_client(capture: Capture) -> None:
    raw = fakes.RawV2Client()
    with pytest.raises(KeyError), raw.chat_stream(**ASK) as response:
        next(response.data)
        raise KeyError("the host's")
    assert (raw.left, only(capture)["status"]) == (1, "abandoned")


async def test_asynchronous_cohere_calls_are_recorded(capture: Capture) -> None:
    raw = fakes.AsyncRawV2Client()
    await raw.chat(**ASK)
    async with raw.chat_stream(**ASK) as response:
        assert len([event async for event in response.data]) == 3
    async with raw.chat_stream(**ASK) as response:
        await anext(response.data)
    assert [event["status"] for event in capture.requests] == ["ok", "ok", "abandoned"]


# -- one client -----------------------------------------------------------------------------------


def test_single_clients_of_these_packages_can_be_recorded(capture: Capture) -> None:
    from types import SimpleNamespace

    from tokentide.instrument.clients import cohere, google_genai, mistralai
    from tokentide.instrument.patching import Patches

    tokentide.uninstrument()
    telemetry, patches = capture.telemetry, Patches()
    models = fakes.Models(fakes.BaseApiClient())
    aio = SimpleNamespace(models=fakes.AsyncModels(fakes.BaseApiClient()))
    google_genai.record_object(SimpleNamespace(models=models, aio=aio), telemetry, patches)
    chat, raw = fakes.Chat(), fakes.RawV2Client()
    mistralai.record_object(SimpleNamespace(chat=chat), telemetry, patches)
    both = SimpleNamespace(_v2=raw)
    cohere.record_object(SimpleNamespace(with_raw_response=both), telemetry, patches)

    models._generate_content(**GEMINI)
    chat.complete(**ASK)
    raw.chat(**ASK)
    list(fakes.V2Client(raw).chat_stream(**ASK))
    fakes.Chat().complete(**ASK)  # another client
    assert [event["provider"] for event in capture.requests] == [
        "gcp.gemini",
        "mistral_ai",
        "cohere",
        "cohere",
    ]


# -- interactions of google-genai -----------------------------------------------------------------


def test_an_interaction_is_one_event_streamed_or_not(capture: Capture) -> None:
    ask: dict[str, Any] = {"model": "gemini-2.5-flash", "input": "q"}
    fakes.Interactions().create(**ask)
    assert len(list(fakes.Interactions().create(**ask, stream=True))) == 3
    left = fakes.Interactions().create(**ask, stream=True)
    next(left)
    left.close()
    whole, streamed, abandoned = capture.requests
    for event in (whole, streamed):
        assert (event["provider"], event["operation"]) == ("gcp.gemini", "chat")
        assert (event["response_id"], event["input_tokens"]) == ("int_1", 10)
    assert (streamed["stream"], streamed["chunks"]) == (True, 3)
    assert (abandoned["status"], abandoned["usage_source"]) == ("abandoned", "missing")


def test_the_raw_response_of_an_interaction_counts_as_it_is_read(capture: Capture) -> None:
    http = httpx2.Response(200, json=fakes.INTERACTION)
    fakes.Interactions(http).create(model="gemini-2.5-flash", input="q")
    assert capture.requests == []
    del http
    gc.collect()
    assert only(capture)["input_tokens"] == 10


async def test_asynchronous_interactions_are_recorded(capture: Capture) -> None:
    await fakes.AsyncInteractions().create(model="gemini-2.5-flash", input="q")
    stream = await fakes.AsyncInteractions().create(model="gemini-2.5-flash", stream=True)
    assert len([event async for event in stream]) == 3
    assert [event["input_tokens"] for event in capture.requests] == [10, 10]


INSIDE: dict[str, Any] = {"model": "gemini-2.5-flash", "input": "q"}


def test_interactions_of_the_client_inside_older_versions_are_recorded(capture: Capture) -> None:
    inner = google_layouts.SyncAPIClient()
    inner.post("/v1beta/interactions", body=INSIDE)
    assert len(list(inner.post("/v1beta/interactions", body=INSIDE, stream=True))) == 3
    inner.post("/v1beta/interactions/int_1/cancel", body={})
    vertex = google_layouts.SyncAPIClient("https://us-central1-aiplatform.googleapis.com/")
    vertex.post("v1beta1/projects/p/locations/us-central1/interactions", body=INSIDE)
    whole, streamed, on_vertex = capture.requests
    for event in (whole, streamed, on_vertex):
        assert (event["operation"], event["request_model"]) == ("chat", "gemini-2.5-flash")
        assert (event["input_tokens"], event["output_tokens"]) == (10, 2)
    assert (whole["provider"], streamed["chunks"]) == ("gcp.gemini", 3)
    assert (on_vertex["provider"], on_vertex["region"]) == ("gcp.vertex_ai", "us-central1")


async def test_one_client_object_of_an_older_version_is_recorded(emitted: Capture) -> None:
    client, other = google_layouts.OlderClient(), google_layouts.OlderClient()
    tokentide.instrument_client(client, telemetry=emitted.telemetry)
    client._nextgen_client.post("/v1beta/interactions", body=INSIDE)
    assert list(client._nextgen_client.post("/v1beta/interactions", body=INSIDE, stream=True))
    await client.aio._nextgen_client.post("/v1beta/interactions", body=INSIDE)
    stream = await client.aio._nextgen_client.post("/v1beta/interactions", body=INSIDE, stream=True)
    assert [event async for event in stream]
    other._nextgen_client.post("/v1beta/interactions", body=INSIDE)
    assert [event["input_tokens"] for event in emitted.requests] == [10, 10, 10, 10]


# -- aiobotocore ----------------------------------------------------------------------------------

BEDROCK = {"modelId": "eu.anthropic.claude-sonnet-4-20250514-v1:0", "body": b"{}"}


async def test_awaited_operations_of_bedrock_are_recorded(capture: Capture) -> None:
    client = fakes.AioBaseClient()
    await client._make_api_call("Converse", BEDROCK)
    stream = (await client._make_api_call("ConverseStream", BEDROCK))["stream"]
    assert len([event async for event in stream]) == 4
    body = (await client._make_api_call("InvokeModel", BEDROCK))["body"]
    while await body.read(16):
        pass
    await client._make_api_call("ListFoundationModels", {})
    with pytest.raises(TimeoutError):
        await fakes.AioBaseClient(TimeoutError())._make_api_call("Converse", BEDROCK)
    whole, streamed, invoked, failed = capture.requests
    for event in (whole, streamed, invoked):
        assert (event["provider"], event["region"]) == ("aws.bedrock", "eu-west-1")
        assert (event["input_tokens"], event["output_tokens"]) == (10, 2)
        assert event["retry_count"] == 1
    assert (streamed["chunks"], invoked["finish_reasons"]) == (4, ["stop", "end_turn"])
    assert (failed["status"], failed["error_type"]) == ("error", "timeout")


@pytest.mark.parametrize("way", ["whole", "pieces", "readinto"])
async def test_an_awaited_body_that_breaks_off_is_a_failure_and_the_services_own(
    capture: Capture, way: str
) -> None:
    broken = ConnectionResetError("mine")
    client = fakes.AioBaseClient(body_error=broken)
    body = (await client._make_api_call("InvokeModel", BEDROCK))["body"]
    with pytest.raises(ConnectionResetError) as raised:
        if way == "whole":
            await body.read()
        elif way == "pieces":
            while await body.read(16):
                pass
        else:
            while await body.readinto(bytearray(16)):
                pass
    assert raised.value is broken
    event = only(capture)
    assert (event["status"], event["error_type"]) == ("error", "connection")
    with pytest.raises(ConnectionResetError):  # read again, it belongs to no call any more
        await body.read()
    assert len(capture.requests) == 1


async def test_an_awaited_body_may_be_read_into_a_buffer(capture: Capture) -> None:
    body = (await fakes.AioBaseClient()._make_api_call("InvokeModel", BEDROCK))["body"]
    target = bytearray(16)
    while await body.readinto(target):
        pass
    del body
    gc.collect()
    event = only(capture)
    assert (event["status"], event["input_tokens"], event["output_tokens"]) == ("ok", 10, 2)


async def test_an_awaited_stream_that_is_left_is_abandoned(capture: Capture) -> None:
    answer = await fakes.AioBaseClient()._make_api_call("ConverseStream", BEDROCK)
    events = aiter(answer["stream"])
    await anext(events)
    await events.aclose()
    event = only(capture)
    assert (event["status"], event["usage_source"]) == ("abandoned", "missing")


# -- more of mistralai ----------------------------------------------------------------------------


async def test_mistrals_responses_and_speech_are_recorded(capture: Capture) -> None:
    fakes.Responses().create(model="mistral-small-latest", input="q")
    await fakes.Responses().create_async(model="mistral-small-latest", input="q")
    list(fakes.Responses().create(model="mistral-small-latest", input="q", stream=True))
    fakes.Speech().complete(model="voxtral-tts", input="hello")
    list(fakes.Speech().complete(model="voxtral-tts", input="hello", stream=True))
    *responses, speech, streamed = capture.requests
    assert [event["input_tokens"] for event in responses] == [10, 10, 10]
    assert [event["finish_reasons"] for event in responses] == [["stop"]] * 3
    assert (speech["operation"], speech["other_units"]) == ("speech", {"characters": 5})
    assert (streamed["input_tokens"], streamed["output_tokens"]) == (5, 100)
    assert streamed.get("other_units") is None


def test_a_stream_of_speech_that_is_cut_says_that_its_tokens_are_missing(capture: Capture) -> None:
    stream = fakes.Speech().complete(model="voxtral-tts", input="hello", stream=True)
    stream.generator = (event for event in [next(stream.generator)])
    assert len(list(stream)) == 1
    # The sound alone would count by the characters of the request; a stream is billed by tokens.
    assert only(capture)["usage_source"] == "missing"
