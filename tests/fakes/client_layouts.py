"""The layout of clients that are not installed with the tests: the classes and methods we patch.

Names, signatures, which function is a generator, a coroutine or a context manager, and what calls
what are those of google-genai 3.6.1, mistralai 3.7.0 (1.12 for Azure), cohere 7.3.1 and aiobotocore
3.10; the real packages were run over transports in memory with the same results.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.fakes.aiobotocore_layouts import AioBaseClient, AioEventStream, AioStreamingBody
from tests.fakes.attributes import attributes
from tests.fakes.google_layouts import (
    INTERACTION,
    AsyncAPIClient,
    AsyncInteractionEvents,
    AsyncInteractions,
    AsyncModels,
    AsyncStream,
    BaseApiClient,
    InteractionEvents,
    Interactions,
    Models,
    Stream,
    SyncAPIClient,
)

__all__ = [
    "INTERACTION",
    "AioBaseClient",
    "AioEventStream",
    "AioStreamingBody",
    "AsyncInteractionEvents",
    "AsyncInteractions",
    "AsyncModels",
    "BaseApiClient",
    "InteractionEvents",
    "Interactions",
    "Models",
    "attributes",
]
"""What is passed on from the modules beside this one."""

Json = dict[str, Any]

# -- mistralai ------------------------------------------------------------------------------------

MISTRAL: Json = {
    "id": "m1",
    "object": "chat.completion",
    "model": "mistral-small-latest",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}


def _mistral_events() -> list[Any]:
    delta = {"index": 0, "delta": {"content": "hi"}, "finish_reason": None}
    ends = [{**MISTRAL, "choices": [delta], "usage": None}, MISTRAL]
    return [attributes({"data": chunk}) for chunk in ends]


class EventStream:
    """What `stream` returns."""

    def __init__(self) -> None:
        self.response = SimpleNamespace(is_closed=False)
        self.generator: Iterator[Any] = iter(_mistral_events())
        self._closed = False

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        return next(self.generator)

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        self.response.is_closed = True


class EventStreamAsync:
    """What `stream_async` returns."""

    def __init__(self) -> None:
        async def events() -> AsyncIterator[Any]:
            for event in _mistral_events():
                yield event

        self.generator: AsyncIterator[Any] = events()

    def __aiter__(self) -> EventStreamAsync:
        return self

    async def __anext__(self) -> Any:
        return await self.generator.__anext__()

    async def __aenter__(self) -> EventStreamAsync:
        return self

    async def __aexit__(self, *_failure: object) -> None:
        await self.close()

    async def close(self) -> None:
        pass


class Chat:
    """`client.chat`."""

    def __init__(self) -> None:
        server: tuple[str, Json] = ("https://api.mistral.ai", {})
        self.sdk_configuration = SimpleNamespace(get_server_details=lambda: server)

    def complete(self, *, model: str, messages: Any) -> Any:
        return attributes(MISTRAL)

    async def complete_async(self, *, model: str, messages: Any) -> Any:
        return attributes(MISTRAL)

    def stream(self, *, model: str, messages: Any) -> EventStream:
        return EventStream()

    async def stream_async(self, *, model: str, messages: Any) -> EventStreamAsync:
        return EventStreamAsync()

    def parse(self, _response_format: Any, **kwargs: Any) -> Any:
        return self.complete(**kwargs)


class AzureChat(Chat):
    """`client.chat` of the package for Azure that came with version 1."""

    def __init__(self) -> None:
        server: tuple[str, Json] = ("https://my.eastus2.models.ai.azure.com", {})
        self.sdk_configuration = SimpleNamespace(get_server_details=lambda: server)

    def complete(self, *, model: str, messages: Any) -> Any:
        return attributes(MISTRAL)


CONVERSATION: Json = {
    "conversation_id": "conv1",
    "outputs": [{"type": "message.output", "content": "hi", "model": "mistral-small-latest"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}


class Conversations:
    """`client.beta.conversations`."""

    def __init__(self) -> None:
        self.sdk_configuration = Chat().sdk_configuration

    def append(self, *, conversation_id: str, inputs: Any) -> Any:
        return attributes(CONVERSATION)

    async def start_async(self, *, inputs: Any, agent_id: str) -> Any:
        return attributes(CONVERSATION)

    def start_stream(self, *, inputs: Any, model: str) -> EventStream:
        stream = EventStream()
        events = [
            {"type": "conversation.response.started", "conversation_id": "conv1"},
            {"type": "message.output.delta", "content": "hi", "model": "mistral-small-latest"},
            {"type": "conversation.response.done", "usage": CONVERSATION["usage"]},
        ]
        stream.generator = (attributes({"data": event}) for event in events)
        return stream


RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "mistral-small-latest",
    "output": [{"type": "message", "content": []}],
    "usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
}


class Responses:
    """`client.responses`."""

    def __init__(self) -> None:
        self.sdk_configuration = Chat().sdk_configuration

    def create(self, *, model: str, input: Any, stream: bool = False) -> Any:
        if not stream:
            return attributes(RESPONSE)
        found = EventStream()
        events: list[Json] = [
            {"type": "response.created", "response": {**RESPONSE, "usage": None}},
            {"type": "response.completed", "response": RESPONSE},
        ]
        found.generator = (attributes({"data": event}) for event in events)
        return found

    async def create_async(self, *, model: str, input: Any) -> Any:
        return attributes(RESPONSE)


class Speech:
    """`client.audio.speech`."""

    def __init__(self) -> None:
        self.sdk_configuration = Chat().sdk_configuration

    def complete(self, *, input: str, model: str, stream: bool = False) -> Any:
        if not stream:
            return attributes({"audio_data": "aGk="})
        found = EventStream()
        usage = {"prompt_tokens": 5, "completion_tokens": 100, "total_tokens": 105}
        events: list[Json] = [
            {"type": "speech.audio.delta", "audio_data": "aGk="},
            {"type": "speech.audio.done", "usage": usage},
        ]
        found.generator = (attributes({"event": event["type"], "data": event}) for event in events)
        return found


# -- cohere ---------------------------------------------------------------------------------------

COHERE: Json = {
    "id": "co1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
    "usage": {"billed_units": {"input_tokens": 10.0, "output_tokens": 2.0}},
}
COHERE_1: Json = {
    "response_id": "co1",
    "text": "hi",
    "finish_reason": "COMPLETE",
    "meta": {"billed_units": {"input_tokens": 10.0, "output_tokens": 2.0}},
}
COHERE_EVENTS: list[Json] = [
    {"type": "message-start", "id": "co1"},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hi"}}}},
    {
        "type": "message-end",
        "delta": {"finish_reason": "COMPLETE", "usage": COHERE["usage"]},
    },
]


class HttpResponse:
    """A raw response: `data` reads `_data`."""

    def __init__(self, data: Any) -> None:
        self._data = data

    @property
    def data(self) -> Any:
        return self._data


class RawV2Client:
    """What `V2Client` and `with_raw_response` call."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._client_wrapper = SimpleNamespace(get_base_url=lambda: "https://api.cohere.com")
        self._error = error
        self.left = 0

    def chat(self, *, model: str, messages: Any) -> HttpResponse:
        return HttpResponse(attributes(COHERE))

    @contextlib.contextmanager
    def chat_stream(self, *, model: str, messages: Any) -> Iterator[HttpResponse]:
        if self._error is not None:
            raise self._error
        try:
            yield HttpResponse(attributes(event) for event in COHERE_EVENTS)
        finally:
            self.left += 1


class AsyncRawV2Client:
    """The same for coroutines."""

    def __init__(self) -> None:
        self._client_wrapper = SimpleNamespace(get_base_url=lambda: "https://api.cohere.com")

    async def chat(self, *, model: str, messages: Any) -> HttpResponse:
        return HttpResponse(attributes(COHERE))

    @contextlib.asynccontextmanager
    async def chat_stream(self, *, model: str, messages: Any) -> AsyncIterator[HttpResponse]:
        async def events() -> AsyncIterator[Any]:
            for event in COHERE_EVENTS:
                yield attributes(event)

        yield HttpResponse(events())


class RawBaseCohere(RawV2Client):
    """The first API."""

    def chat(self, *, message: str, model: str) -> HttpResponse:  # type: ignore[override]
        return HttpResponse(attributes(COHERE_1))

    @contextlib.contextmanager
    def chat_stream(self, *, message: str, model: str) -> Iterator[HttpResponse]:  # type: ignore[override]
        events: list[Json] = [
            {"event_type": "stream-start", "generation_id": "co1"},
            {"event_type": "text-generation", "text": "hi"},
            {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": COHERE_1},
        ]
        yield HttpResponse(attributes(event) for event in events)


class V2Client:
    """`ClientV2` with what of it matters: a generator around the raw client's context manager."""

    def __init__(self, raw: RawV2Client) -> None:
        self._raw_client = raw

    def chat_stream(self, **kwargs: Any) -> Iterator[Any]:
        with self._raw_client.chat_stream(**kwargs) as response:
            yield from response.data


def amazon_hooks(service: str, aws_region: str) -> Any:
    """Return the HTTP client of `BedrockClientV2`: a hook sends its requests somewhere else."""

    def _event_hook(_request: Any) -> str:
        return f"{service}.{aws_region}"

    _event_hook.__module__ = "cohere.aws_client"
    return SimpleNamespace(httpx_client=SimpleNamespace(event_hooks={"request": [_event_hook]}))


def modules() -> dict[str, ModuleType]:
    """Return the fakes under the names of the real modules."""
    layout: dict[str, dict[str, type]] = {
        "google.genai._api_client": {"BaseApiClient": BaseApiClient},
        "google.genai.models": {"Models": Models, "AsyncModels": AsyncModels},
        "google.genai._gaos.interactions": {
            "Interactions": Interactions,
            "AsyncInteractions": AsyncInteractions,
        },
        "google.genai._gaos.utils.eventstreaming": {
            "Stream": InteractionEvents,
            "AsyncStream": AsyncInteractionEvents,
        },
        "google.genai._interactions._base_client": {
            "SyncAPIClient": SyncAPIClient,
            "AsyncAPIClient": AsyncAPIClient,
        },
        "google.genai._interactions._streaming": {"Stream": Stream, "AsyncStream": AsyncStream},
        "aiobotocore.client": {"AioBaseClient": AioBaseClient},
        "aiobotocore.eventstream": {"AioEventStream": AioEventStream},
        "aiobotocore.response": {"AioStreamingBody": AioStreamingBody},
        "mistralai.client.responses": {"Responses": Responses},
        "mistralai.client.speech": {"Speech": Speech},
        "mistralai.client.chat": {"Chat": Chat},
        "mistralai.client.conversations": {"Conversations": Conversations},
        "mistralai_azure.chat": {"Chat": AzureChat},
        "mistralai.client.utils.eventstreaming": {
            "EventStream": EventStream,
            "EventStreamAsync": EventStreamAsync,
        },
        "cohere.v2.raw_client": {
            "RawV2Client": RawV2Client,
            "AsyncRawV2Client": AsyncRawV2Client,
        },
        "cohere.raw_base_client": {
            "RawBaseCohere": RawBaseCohere,
            "AsyncRawBaseCohere": AsyncRawV2Client,
        },
    }
    made = {}
    for name, classes in layout.items():
        made[name] = ModuleType(name)
        vars(made[name]).update(classes)
    return made
