"""Mistral's chat, embeddings, OCR, transcription and conversations.

Chat answers are OpenAI's but for the places of cached tokens, for seconds of audio (not part of
the prompt's tokens, billed apart) and for streams, whose chunks the SDK wraps in events. OCR is
counted in pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokentide._contract import MAX_IDENTIFIER
from tokentide.usage import openai_chat, openai_responses
from tokentide.usage.flavour import Flavour, StreamReading
from tokentide.usage.openai_parts import (
    choices_asked,
    error_fields,
    limit_asked,
    read_common_request,
)
from tokentide.usage.openai_stream import ChatStream
from tokentide.usage.reading import (
    Fields,
    Get,
    amount,
    count,
    cut_off,
    getter,
    items,
    kept,
    label,
    read,
    read_first,
    small_count,
    total,
    usage_fields,
)
from tokentide.usage.totals import settle

_MAX_PAGES = 256
"""Pages of one OCR answer that are searched for annotations."""


def read_usage(usage: object) -> Fields:
    """Return the counts of a `UsageInfo`, and the tier it names."""
    get = getter(usage)
    counts = openai_chat.read_parts(usage)
    if "cache_read_tokens" not in counts:
        found = count(read(get("prompt_token_details"), "cached_tokens"))
        counts["cache_read_tokens"] = count(get("num_cached_tokens")) if found is None else found
    seconds = amount(get("prompt_audio_seconds"))
    if seconds is not None:
        counts["other_units"] = {"seconds": seconds}
    tier = label(get("service_tier"))
    if tier is not None:
        counts["service_tier"] = tier
    connectors = get("connectors")
    if connectors is not None:
        counts.update(_connectors(get, connectors))
    if not seconds:  # audio is in the total, and billed by the second instead
        settle(counts, get("total_tokens"))
    return counts


def _connectors(get: Get, connectors: object) -> Fields:
    """Return what tools of the server read (tokens beside the prompt's) and searched."""
    uses = getter(connectors)
    searches = (small_count(uses("web_search")), small_count(uses("web_search_premium")))
    return {
        "input_tokens": total(count(get("prompt_tokens")), count(get("connector_tokens"))),
        "web_searches": small_count(total(*searches)),
    }


def _pages(get: Get) -> Fields:
    """Return what an OCR answer is billed for: pages, and those of them with annotations."""
    processed = amount(read(get("usage_info"), "pages_processed"))
    is_annotated = label(get("document_annotation")) is not None or any(
        label(read(image, "image_annotation")) is not None
        for page in items(get("pages"), _MAX_PAGES)
        for image in items(read(page, "images"), 8)
    )
    units = kept({"pages": processed, "annotated_pages": processed if is_annotated else None})
    fields = usage_fields({"other_units": units})
    return fields | kept(
        {"operation": "ocr", "response_model": label(get("model"), MAX_IDENTIFIER)}
    )


def _is_embedding(get: Get) -> bool:
    return read(read_first(get("data")), "embedding") is not None


def read_response(response: object) -> Fields:
    """Return the event fields of an answer of any of these APIs."""
    get = getter(response)
    if get("usage_info") is not None:
        return _pages(get)
    if label(get("object")) == "response":
        return openai_responses.read_response(response)
    fields = openai_chat.read_response(response, read_usage)
    if get("choices") is not None:
        return fields
    if get("outputs") is not None:
        entries = items(get("outputs"))
        calls = (label(read(entry, "type")) for entry in entries)
        fields["tool_calls_count"] = sum(kind == "function.call" for kind in calls)
        models = (label(read(entry, "model"), MAX_IDENTIFIER) for entry in entries)
        model = next((name for name in models if name), None)
        fields.update(
            kept(
                {
                    "conversation_id": label(get("conversation_id"), MAX_IDENTIFIER),
                    "response_model": model,
                }
            )
        )
    elif label(get("text")) is not None:
        fields["operation"] = "transcription"
    elif _is_embedding(get):
        fields["operation"] = "embeddings"
        # An embedding has no output; the SDK fills a zero in.
        if fields.get("output_tokens") == 0 and "input_tokens" in fields:
            del fields["output_tokens"]
    return fields


class ConversationStream:
    """Reads the events of a streamed conversation; no event of it reports why an answer ends."""

    __slots__ = ("_call", "_calls", "_end", "_fields")

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._end: Fields = {}
        self._call: object = None
        self._calls = 0

    def add(self, data: Any) -> None:
        """Look at one event."""
        kind = data["type"] if type(data) is dict else data.type
        if kind == "message.output.delta":
            if "response_model" not in self._fields:
                self._fields["response_model"] = label(read(data, "model"), MAX_IDENTIFIER)
        elif kind == "function.call.delta":
            call = label(read(data, "tool_call_id"))
            if call != self._call:
                self._call = call
                self._calls += 1
        elif kind == "conversation.response.started":
            self._fields["conversation_id"] = label(read(data, "conversation_id"), MAX_IDENTIFIER)
        elif kind == "conversation.response.done":
            self._end = usage_fields(read_usage(read(data, "usage")))
        elif kind == "conversation.response.error":
            self._end = error_fields({"code": read(data, "code")})

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        fields = {"usage_source": "missing", "tool_calls_count": self._calls, **kept(self._fields)}
        return {**fields, **(self._end or cut_off())}


class SpeechStream:
    """Reads the events of a streamed transcription."""

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self._end: Fields = {
            "usage_source": "missing",
            "operation": "transcription",
            **cut_off(),
        }

    def add(self, data: Any) -> None:
        """Look at one event."""
        if (data["type"] if type(data) is dict else data.type) == "transcription.done":
            self._end = read_response(data)

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        return self._end


def _stream_of(kind: str) -> StreamReading:
    if kind.startswith("transcription."):
        return SpeechStream()
    is_response = kind.startswith("response.")
    return openai_responses.ResponseStream() if is_response else ConversationStream()


class MistralStream:
    """Reads the events of a streamed chat, conversation or transcription."""

    __slots__ = ("_inner", "_is_known")

    def __init__(self) -> None:
        self._inner: StreamReading = ChatStream(read_usage)
        self._is_known = False

    def add(self, chunk: Any) -> None:
        """Look at one event, or at the chunk within it."""
        try:
            data = chunk.get("data", chunk) if type(chunk) is dict else chunk.data
            if not self._is_known:
                self._is_known = True
                kind = label(read(data, "type"))  # chunks of chats have none
                if kind is not None:
                    self._inner = _stream_of(kind)
            self._inner.add(data)
        except Exception:  # an event of the host's own making; the others still count
            return

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        return self._inner.fields()


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of a call of the client."""
    get = getter(arguments)
    return read_common_request(get) | kept(
        {
            "max_tokens": limit_asked(get, "max_tokens"),
            "choices": choices_asked(get),
            "reasoning_level": label(get("reasoning_effort")) or label(get("prompt_mode")),
        }
    )


FLAVOUR = Flavour(
    name="mistral",
    operation="chat",
    read_request=read_request,
    read_response=read_response,
    read_stream=MistralStream,
)
