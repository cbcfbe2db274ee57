"""The same payload in the forms that hosts hold: parsed JSON, attributes, the SDK's own types."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

Build = Callable[[Any], object]
"""Turns parsed JSON into an object of a provider's client library."""


def as_attributes(value: Any) -> Any:
    """Return the JSON value with every object turned into one with attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_attributes(item) for name, item in value.items()})
    if isinstance(value, list):
        return [as_attributes(item) for item in value]
    return value


def _openai(path: str) -> Callable[[], Build]:
    def find() -> Build:
        from openai._models import construct_type

        module, _, name = path.rpartition(".")
        kind = getattr(import_module(module), name)
        # As the client does it: unchecked, so that what others answer in its format passes.
        return lambda payload: construct_type(type_=kind, value=payload)

    return find


def _anthropic(name: str) -> Callable[[], Build]:
    def find() -> Build:
        construct_type = import_module("anthropic._models").construct_type
        kind = getattr(import_module("anthropic.types.beta"), name)
        # As the client does it: unchecked.
        return lambda payload: construct_type(type_=kind, value=payload)

    return find


def _gemini() -> Build:
    types = import_module("google.genai.types")

    def build(payload: Any) -> object:
        if "error" in payload and "candidates" not in payload:
            return payload  # the client raises it
        is_embedding = "embeddings" in payload
        kind = types.EmbedContentResponse if is_embedding else types.GenerateContentResponse
        kind = types.GenerateImagesResponse if "generatedImages" in payload else kind
        built: object = kind._from_response(response=payload, kwargs={})
        return built

    return build


def _mistral() -> Build:
    models = import_module("mistralai.client.models")

    def build(payload: Any) -> object:
        if payload.get("object") == "error":
            return payload  # the client raises it
        is_transcribed = str(payload.get("event")).startswith("transcription.")
        events = models.TranscriptionStreamEvents if is_transcribed else models.ConversationEvents
        for name, kind in (
            ("usage_info", models.OCRResponse),
            ("outputs", models.ConversationResponse),
            ("text", models.TranscriptionResponse),
            ("event", events),
            ("choices", models.ChatCompletionResponse),
            ("data", models.EmbeddingResponse if "model" in payload else models.CompletionEvent),
        ):
            if name in payload:
                built: object = kind.model_validate(payload)
                return built
        raise AssertionError(payload)

    return build


def _cohere() -> Build:
    cohere = import_module("cohere")
    types = import_module("cohere.v2.types")
    construct_type = import_module("cohere.core.unchecked_base_model").construct_type

    def build(payload: Any) -> object:
        for name, kind in (
            ("type", types.V2ChatStreamResponse),
            ("message", types.V2ChatResponse),
            ("results", types.V2RerankResponse),
            ("embeddings", cohere.EmbedByTypeResponse),
            ("classifications", cohere.ClassifyResponse),
        ):
            if name in payload:
                built: object = construct_type(type_=kind, object_=payload)
                return built
        raise AssertionError(payload)

    return build


def _boto3() -> Build:
    """Return what gives dicts as boto3 does: bodies and chunks of InvokeModel are bytes."""

    def build(payload: Any) -> object:
        if isinstance(payload.get("body"), dict):
            return {**payload, "body": _compact(payload["body"])}
        if "chunk" in payload:
            return {"chunk": {"bytes": _compact(payload["chunk"]["bytes"])}}
        return payload

    return build


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_CHAT = (
    _openai("openai.types.chat.ChatCompletion"),
    _openai("openai.types.chat.ChatCompletionChunk"),
)
BUILDERS: dict[str, tuple[Callable[[], Build], Callable[[], Build] | None]] = {
    "openai_chat": _CHAT,
    "xai": _CHAT,
    "perplexity": _CHAT,
    "openai_responses": (
        _openai("openai.types.responses.Response"),
        _openai("openai.types.responses.ResponseStreamEvent"),
    ),
    "openai_embeddings": (_openai("openai.types.CreateEmbeddingResponse"), None),
    "openai_transcription": (
        _openai("openai.types.audio.transcription_create_response.TranscriptionCreateResponse"),
        _openai("openai.types.audio.TranscriptionStreamEvent"),
    ),
    "openai_images": (
        _openai("openai.types.ImagesResponse"),
        _openai("openai.types.ImageGenStreamEvent"),
    ),
    "anthropic_messages": (_anthropic("BetaMessage"), _anthropic("BetaRawMessageStreamEvent")),
    "bedrock_converse": (_boto3, _boto3),
    "bedrock_invoke": (_boto3, _boto3),
    # Not among the packages that the tests install; checked where they are there.
    "gemini": (_gemini, _gemini),
    "mistral": (_mistral, _mistral),
    "cohere": (_cohere, _cohere),
}
"""For each flavour: how to find the builder of its responses, and of its stream's chunks."""


def sdk_builder(flavour: str, *, is_stream: bool) -> Build | None:
    """Return the builder of the client library's own type, None when it is not installed."""
    finders = BUILDERS.get(flavour)
    find = finders[is_stream] if finders else None
    try:
        return find() if find else None
    except ImportError:
        return None
