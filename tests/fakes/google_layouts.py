"""The layout of google-genai: see `client_layouts`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

from tests.fakes.attributes import attributes

Json = dict[str, Any]

GEMINI: Json = {
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finish_reason": "STOP"}],
    "usage_metadata": {"prompt_token_count": 10, "candidates_token_count": 2},
    "model_version": "gemini-2.5-flash",
    "response_id": "g1",
}


class BaseApiClient:
    """The transport: retries inside, and what separates Gemini from Vertex AI."""

    def __init__(self, *, vertexai: bool = False, failures: int = 0) -> None:
        self.vertexai = vertexai
        self.location = "us-central1" if vertexai else None
        self._http_options = SimpleNamespace(
            base_url="https://generativelanguage.googleapis.com/"
            if not vertexai
            else "https://us-central1-aiplatform.googleapis.com/"
        )
        self.failures = failures
        self.sent = 0

    def request(self) -> Any:
        for _attempt in range(self.failures):
            self._request_once()
        return self._request_once()

    async def async_request(self) -> Any:
        for _attempt in range(self.failures):
            await self._async_request_once()
        return await self._async_request_once()

    def _request_once(self) -> Any:
        self.sent += 1
        return attributes(GEMINI)

    async def _async_request_once(self) -> Any:
        self.sent += 1
        return attributes(GEMINI)


class Models:
    """`client.models`."""

    def __init__(self, api_client: BaseApiClient) -> None:
        self._api_client = api_client

    def generate_content(self, *, model: str, contents: Any, config: Any = None) -> Any:
        self._generate_content(model=model, contents=contents, config=config)  # asks for a function
        return self._generate_content(model=model, contents=contents, config=config)

    def _generate_content(self, *, model: str, contents: Any, config: Any = None) -> Any:
        return self._api_client.request()

    def _generate_images(self, *, model: str, prompt: str) -> Any:
        return attributes({"generated_images": [{"image": {}}, {"image": {}}]})

    def _generate_videos(self, *, model: str, prompt: str) -> Any:
        return attributes({"name": "operations/1"})

    def _generate_content_stream(
        self, *, model: str, contents: Any, config: Any = None
    ) -> Iterator[Any]:
        yield self._api_client.request()
        yield attributes(GEMINI)


class AsyncModels:
    """`client.aio.models`."""

    def __init__(self, api_client: BaseApiClient) -> None:
        self._api_client = api_client

    async def _generate_content(self, *, model: str, contents: Any, config: Any = None) -> Any:
        return await self._api_client.async_request()

    async def _generate_content_stream(
        self, *, model: str, contents: Any, config: Any = None
    ) -> AsyncIterator[Any]:
        first = await self._api_client.async_request()

        async def chunks() -> AsyncIterator[Any]:
            yield first
            yield attributes(GEMINI)

        return chunks()


INTERACTION: Json = {
    "id": "int_1",
    "object": "interaction",
    "status": "completed",
    "model": "gemini-2.5-flash",
    "steps": [{"type": "model_output"}],
    "usage": {"total_input_tokens": 10, "total_output_tokens": 2, "total_tokens": 12},
}


def _interaction_events() -> list[Any]:
    created = {**INTERACTION, "status": "in_progress", "usage": None}
    events: list[Json] = [
        {"event_type": "interaction.created", "interaction": created},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "hi"}},
        {"event_type": "interaction.completed", "interaction": INTERACTION},
    ]
    return [attributes(event) for event in events]


class InteractionEvents:
    """What `create` returns when it streams."""

    def __init__(self) -> None:
        self.generator: Any = iter(_interaction_events())

    def __iter__(self) -> InteractionEvents:
        return self

    def __next__(self) -> Any:
        return next(self.generator)

    def close(self) -> None:
        self.generator = iter(())


class AsyncInteractionEvents:
    """The same for coroutines."""

    def __init__(self) -> None:
        async def events() -> AsyncIterator[Any]:
            for event in _interaction_events():
                yield event

        self.generator: Any = events()

    def __aiter__(self) -> AsyncInteractionEvents:
        return self

    async def __anext__(self) -> Any:
        return await self.generator.__anext__()

    async def close(self) -> None:
        pass


class Interactions:
    """The class that `client.interactions` is made from; one call of it is one request."""

    def __init__(self, http: Any = None) -> None:
        self._http = http

    def create(self, *, stream: bool = False, **_body: Any) -> Any:
        if self._http is not None:
            return SimpleNamespace(http_response=self._http)
        return InteractionEvents() if stream else attributes(INTERACTION)


class AsyncInteractions:
    """The same for coroutines."""

    async def create(self, *, stream: bool = False, **_body: Any) -> Any:
        return AsyncInteractionEvents() if stream else attributes(INTERACTION)


class Stream:
    """What a client generated by Stainless returns when it streams."""

    def __init__(self) -> None:
        self._iterator: Any = iter(_interaction_events())

    def __iter__(self) -> Iterator[Any]:
        yield from self._iterator

    def close(self) -> None:
        pass


class AsyncStream:
    """The same for coroutines."""

    def __init__(self) -> None:
        async def events() -> AsyncIterator[Any]:
            for event in _interaction_events():
                yield event

        self._iterator: Any = events()

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for event in self._iterator:
            yield event

    async def close(self) -> None:
        pass


class SyncAPIClient:
    """The client inside versions before 2.9: all its requests pass `request`."""

    def __init__(self, base_url: str = "https://generativelanguage.googleapis.com/") -> None:
        self._base_url = base_url

    def post(self, path: str, *, body: Json, stream: bool = False) -> Any:
        options = SimpleNamespace(
            method="post", url=path, json_data=body, extra_json=None, headers={}
        )
        return self.request(object, options, stream=stream)

    def request(self, _cast_to: Any, _options: Any, *, stream: bool = False) -> Any:
        return Stream() if stream else attributes(INTERACTION)


class AsyncAPIClient(SyncAPIClient):
    """The same for coroutines."""

    async def request(self, _cast_to: Any, _options: Any, *, stream: bool = False) -> Any:
        return AsyncStream() if stream else attributes(INTERACTION)


class OlderClient:
    """`google.genai.Client` of these versions."""

    def __init__(self) -> None:
        api = BaseApiClient()
        self.models = Models(api)
        self.aio = SimpleNamespace(models=AsyncModels(api), _nextgen_client=AsyncAPIClient())
        self._nextgen_client = SyncAPIClient()


OlderClient.__module__ = "google.genai.client"
