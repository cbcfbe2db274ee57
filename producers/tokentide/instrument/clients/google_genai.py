"""The google-genai package: Gemini and Vertex AI.

One call of `generate_content` may ask the model several times, when functions are called
automatically; the methods below it, one per request, are what is patched. Chat sessions pass
through them too. Repeated attempts inside the package's transport are counted.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.call import Call, Fields, current_call
from tokentide.instrument.hosts import describe_server
from tokentide.instrument.methods import (
    Method,
    async_stream,
    lazy_stream,
    record_methods,
    record_methods_of,
)
from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.streams import Function
from tokentide.telemetry import Telemetry

_CONTENT = "generate_content"


def _has_content(chunk: Any) -> bool:
    return bool(chunk.candidates)


_SYNC = (
    Method("_generate_content", "gemini"),
    Method(
        "_generate_content_stream", "gemini", lazy_stream, is_token=_has_content, is_stream=True
    ),
    Method("_embed_content", "gemini", operation="embeddings"),
)
_ASYNC = (
    Method("_generate_content", "gemini", is_async=True),
    Method(
        "_generate_content_stream",
        "gemini",
        async_stream,
        is_token=_has_content,
        is_async=True,
        is_stream=True,
    ),
    Method("_embed_content", "gemini", operation="embeddings", is_async=True),
)


def describe(models: Any) -> Fields:
    """Return who answers a `Models` object."""
    api = models._api_client
    fallback = "gcp.vertex_ai" if api.vertexai else "gcp.gemini"
    described = describe_server(None, str(api._http_options.base_url or ""), fallback)
    if described["provider"] not in ("gcp.vertex_ai", "gcp.gemini"):
        described["provider"] = fallback  # through a gateway it is still this API
    if api.vertexai and type(api.location) is str:
        described["region"] = api.location
    return described


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""

    def models(module: Any) -> None:
        record_methods(module.Models, _SYNC, describe, telemetry, patches)
        record_methods(module.AsyncModels, _ASYNC, describe, telemetry, patches)

    return {"google.genai.models": models, **following_by_module(patches)}


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object."""

    def transport(module: Any) -> None:
        patches.wrap(module.BaseApiClient, "_request_once", _counting_attempts)
        patches.wrap(module.BaseApiClient, "_async_request_once", _counting_async)

    return {"google.genai._api_client": transport}


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    record_methods_of(client.models, _SYNC, describe, telemetry, patches)
    record_methods_of(client.aio.models, _ASYNC, describe, telemetry, patches)


def _counting_attempts(original: Function) -> Function:
    def request_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        _count_attempt()
        return original(self, *args, **kwargs)

    return request_once


def _counting_async(original: Function) -> Function:
    # A coroutine function, because the package's retries look whether it is one.
    async def request_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        _count_attempt()
        return await original(self, *args, **kwargs)

    return request_once


def _count_attempt() -> None:
    call = current_call.get()
    if isinstance(call, Call):
        call.attempts += 1
