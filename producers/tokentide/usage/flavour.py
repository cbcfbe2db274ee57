"""One extractor per API flavour, found by name and loaded when first used.

A flavour is a wire format, not a company: Azure, Groq, DeepSeek, OpenRouter and vLLM answer in
OpenAI's. Extractors are pure and import no provider's package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

from tokentide.usage.openai_parts import failure_in
from tokentide.usage.reading import (
    NOTHING_READ,
    Fields,
    Get,
    getter,
    label,
    read,
    read_first,
)

Argument = TypeVar("Argument")

FLAVOUR_NAMES: tuple[str, ...] = (
    "openai_chat",
    "openai_responses",
    "openai_embeddings",
    "openai_transcription",
    "openai_images",
    "openai_speech",
    "anthropic_messages",
    "gemini",
    "gemini_interactions",
    "bedrock_converse",
    "bedrock_invoke",
    "mistral",
    "cohere",
    "xai",
    "perplexity",
)


class StreamReading(Protocol):
    """What one stream says of its call, gathered chunk by chunk."""

    def add(self, chunk: object) -> None:
        """Look at one chunk; the caller has it already. Keeps no content, never raises."""

    def fields(self) -> dict[str, Any]:
        """Return event fields as `Flavour.read_response` does, of what has arrived so far.

        They go to `Recorder.set` as they are. Without any usage `usage_source` is `missing`: an
        aborted stream is billed all the same.
        """


@dataclass(frozen=True, slots=True)
class Flavour:
    """How to read one API.

    Attributes:
        name: One of `FLAVOUR_NAMES`.
        operation: The event's operation: `chat`, `embeddings`, ...
        read_request: From the keyword arguments of the client's call to event fields.
        read_response: From an SDK object, a dict or parsed JSON to event fields.
        read_stream: Returns a new reading for one stream.
        condense: From an SDK object to a tuple that `read_response` reads alike, without its
            content; the object itself where that takes more than a handful of reads. See "Condensed
            responses" in docs/producer-internals.md. Absent where it is not worth it.
        reconcile: Changes an event that has the fields of request and response, where one decides
            over the other.

    None of them raises: a response that cannot be read says nothing.
    """

    name: str
    operation: str
    read_request: Callable[[Mapping[str, object]], dict[str, object]]
    read_response: Callable[[object], dict[str, object]]
    read_stream: Callable[[], StreamReading]
    condense: Callable[[object], object] | None = None
    reconcile: Callable[[dict[str, object]], None] | None = None


_loaded: dict[str, Flavour] = {}


def flavour(name: str) -> Flavour:
    """Return a flavour by name, importing its module the first time.

    Raises:
        ValueError: There is no flavour of this name.
    """
    found = _loaded.get(name)
    if found is None:
        if name not in FLAVOUR_NAMES:
            raise ValueError(f"flavour={name!r} is not known; give one of {FLAVOUR_NAMES}")
        made = cast("Flavour", import_module(f"tokentide.usage.{name}").FLAVOUR)
        found = _loaded[name] = replace(
            made,
            read_request=_guarded(made.read_request, {}),
            read_response=_noticing_failure(_guarded(made.read_response, NOTHING_READ)),
        )
    return found


def _guarded(
    read_fields: Callable[[Argument], Fields], otherwise: Mapping[str, object]
) -> Callable[[Argument], Fields]:
    """Return the reader with a net below it, for the host: it raises nothing."""

    def guarded(argument: Argument) -> Fields:
        try:
            return read_fields(argument)
        except Exception:
            return dict(otherwise)

    return guarded


def _noticing_failure(read_response: Callable[[object], Fields]) -> Callable[[object], Fields]:
    """Return the reader with an eye for failures that stand where an answer is expected."""

    def reading(response: object) -> Fields:
        fields = read_response(response)
        if "status" not in fields and type(response) is not tuple:  # a condensed one is an answer
            try:
                fields.update(failure_in(response))
            except Exception:
                return fields
        return fields

    return reading


_BY_OBJECT = {
    "response": "openai_responses",
    "chat.completion": "openai_chat",
    "chat.completion.chunk": "openai_chat",
    "text_completion": "openai_chat",
}
"""The `object` field of what OpenAI's API and its imitators answer."""

_CHAT_BY_PROVIDER = (
    ("perplexity", "perplexity"),
    ("mistral", "mistral"),
    ("x_ai", "xai"),
    ("x-ai", "xai"),
    ("x.ai", "xai"),
    ("xai", "xai"),
)
"""Providers whose chat answers look like OpenAI's and count otherwise."""

_BY_PROVIDER = (
    ("anthropic", "anthropic_messages"),
    ("bedrock", "bedrock_invoke"),
    ("cohere", "cohere"),
    ("gcp", "gemini"),
    ("gemini", "gemini"),
    ("google", "gemini"),
    ("vertex", "gemini"),
    *_CHAT_BY_PROVIDER,
)


def for_provider(provider: str, response: object) -> Flavour:
    """Return the flavour of a response whose format is not named.

    The shape decides, because one provider answers in several formats; the provider decides
    between those that look alike. What is not recognised is read as OpenAI chat.

    Args:
        provider: The event's `provider`, such as `openai` or `azure.ai.openai`.
        response: SDK object, dict or parsed JSON.
    """
    lowered = (label(provider) or "").lower()
    try:
        name = _by_shape(lowered, getter(response))
    except Exception:
        name = ""
    return flavour(name or _by_name(lowered, _BY_PROVIDER))


def _by_name(provider: str, table: tuple[tuple[str, str], ...]) -> str:
    return next((name for part, name in table if part in provider), "openai_chat")


def _by_shape(provider: str, get: Get) -> str:
    kind = label(get("object")) or ""
    if kind in _BY_OBJECT:
        name = _BY_OBJECT[kind]
        return _by_name(provider, _CHAT_BY_PROVIDER) if name == "openai_chat" else name
    usage = get("usage")
    if (label(get("type")) or "").startswith("speech.audio."):
        return "openai_speech"
    if label(get("object")) == "interaction" or read(usage, "total_input_tokens") is not None:
        return "gemini_interactions"
    if label(get("type")) == "message" and label(get("role")) == "assistant":
        return "anthropic_messages"
    if get("usageMetadata") is not None or get("usage_metadata") is not None:
        return "gemini"
    if get("stopReason") is not None and read(usage, "inputTokens") is not None:
        return "bedrock_converse"
    if read(usage, "billed_units") is not None:
        return "cohere"
    first = read_first(get("data"))
    if kind == "list" and first is not None:
        return "" if "mistral" in provider else "openai_embeddings"
    is_speech = label(read(usage, "type")) in ("tokens", "duration") or get("duration") is not None
    if is_speech and label(get("text")):
        return "openai_transcription"
    if read(first, "b64_json") is not None or read(first, "url") is not None:
        return "openai_images"
    return ""
