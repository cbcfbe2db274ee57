"""The google-genai package: Gemini and Vertex AI, models and interactions.

One call of `generate_content` may ask the model several times, when functions are called
automatically; the methods below it, one per request, are what is patched. Chat sessions pass
through them too. Repeated attempts inside the package's transport are counted.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.bodies import watch_body
from tokentide.instrument.call import Call, Fields, current_call
from tokentide.instrument.clients import google_interactions
from tokentide.instrument.clients.google_interactions import is_step
from tokentide.instrument.hosts import describe_server
from tokentide.instrument.methods import (
    Method,
    async_stream,
    lazy_stream,
    record_methods,
    record_methods_of,
)
from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.streams import (
    CALL,
    Function,
    ends_on_close,
    ends_on_close_async,
    watch,
    watch_async,
)
from tokentide.instrument.unrecorded import Unrecorded, counting_patches, note_calls
from tokentide.telemetry import Telemetry

_PICTURES = ("_generate_images", "_edit_image", "_upscale_image")
_VIDEOS = Unrecorded(
    "google.genai.models", ("Models", "AsyncModels"), ("_generate_videos",), "videos"
)
_UNRECORDED = (
    Unrecorded(
        "google.genai.batches",
        ("Batches", "AsyncBatches"),
        ("_create", "_create_embeddings"),
        "batch jobs",
    ),
    Unrecorded(
        "google.genai.caches",
        ("Caches", "AsyncCaches"),
        ("create",),
        "explicit caches and their storage",
    ),
    Unrecorded("google.genai.live", ("AsyncLive",), ("connect",), "live sessions"),
)


def _has_content(chunk: Any) -> bool:
    return bool(chunk.candidates)


_SYNC = (
    Method("_generate_content", "gemini"),
    Method(
        "_generate_content_stream", "gemini", lazy_stream, is_token=_has_content, is_stream=True
    ),
    Method("_embed_content", "gemini", operation="embeddings"),
    *(Method(name, "gemini", operation="image_generation") for name in _PICTURES),
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
    *(Method(name, "gemini", operation="image_generation", is_async=True) for name in _PICTURES),
)


def _followed(call: Call, result: Any) -> Any:
    """Follow an interaction, its stream, or the raw response of either."""
    http = getattr(result, "http_response", None)
    if http is not None:
        watch_body(call, http)
        http.__dict__[CALL] = call  # it ends when the response is let go
    elif hasattr(result, "generator"):
        is_async = hasattr(result.generator, "__anext__")
        result.generator = (watch_async if is_async else watch)(result.generator, call)
        setattr(result, CALL, call)
    else:
        call.returned(result)
    return result


_INTERACTIONS = (Method("create", "gemini_interactions", _followed, is_token=is_step),)
_ASYNC_INTERACTIONS = (
    Method("create", "gemini_interactions", _followed, is_token=is_step, is_async=True),
)


def describe_interactions(resource: Any) -> Fields:
    """Return who answers an `Interactions` object."""
    api = getattr(resource, "_api_client", None)
    return describe(resource) if api is not None else {"provider": "gcp.gemini"}


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
        note_calls(module, (_VIDEOS,), "google-genai", patches)

    def interactions(module: Any) -> None:
        for kind, methods in (
            (module.Interactions, _INTERACTIONS),
            (module.AsyncInteractions, _ASYNC_INTERACTIONS),
        ):
            record_methods(kind, methods, describe_interactions, telemetry, patches)

    return {
        "google.genai.models": models,
        "google.genai._gaos.interactions": interactions,
        **counting_patches(_UNRECORDED, "google-genai", patches),
        **following_by_module(patches),
        **google_interactions.patches_by_module(telemetry, patches),
    }


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object."""

    def transport(module: Any) -> None:
        patches.wrap(module.BaseApiClient, "_request_once", _counting_attempts)
        patches.wrap(module.BaseApiClient, "_async_request_once", _counting_async)

    def streams(module: Any) -> None:
        patches.wrap(module.Stream, "close", ends_on_close)
        patches.wrap(module.AsyncStream, "close", ends_on_close_async)

    return {
        "google.genai._api_client": transport,
        "google.genai._gaos.utils.eventstreaming": streams,
        **google_interactions.following_by_module(patches),
    }


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    record_methods_of(client.models, _SYNC, describe, telemetry, patches)
    record_methods_of(client.aio.models, _ASYNC, describe, telemetry, patches)
    for owner, methods in ((client, _INTERACTIONS), (client.aio, _ASYNC_INTERACTIONS)):
        older = getattr(owner, "_nextgen_client", None)
        if older is not None:
            google_interactions.record_object(older, telemetry, patches)
            continue
        resource = getattr(owner, "interactions", None)
        if resource is not None:
            record_methods_of(resource, methods, describe_interactions, telemetry, patches)


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
