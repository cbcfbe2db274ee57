"""Cohere's chat (v2, and v1 where it differs), embeddings, rerank and classify.

Cohere counts twice: `billed_units` is what is invoiced, `tokens` what the model saw. The
billed count is reported, as OpenTelemetry asks. All its counts are floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokentide._contract import MAX_IDENTIFIER
from tokentide.usage.flavour import Flavour
from tokentide.usage.openai_parts import limit_asked, read_common_request
from tokentide.usage.reading import (
    Fields,
    Get,
    amount,
    cut_off,
    finish_fields,
    getter,
    items,
    kept,
    label,
    read,
    total,
    usage_fields,
    whole,
)

_UNITS = ("search_units", "classifications", "images", "pages")
_FAILURES = {"ERROR": "server_error", "ERROR_LIMIT": "context_length", "TIMEOUT": "timeout"}
_TEXT = frozenset({"content-delta", "text-generation", "tool-plan-delta", "tool-call-delta"})
"""Events that only continue something."""


def read_usage(usage: object) -> Fields:
    """Return usage fields of `usage` (chat v2) or `meta` (everything else)."""
    get = getter(usage)
    billed = getter(get("billed_units"))
    raw = getter(get("tokens"))
    text_tokens, image_tokens = whole(billed("text_tokens")), whole(billed("image_tokens"))
    inputs = whole(billed("input_tokens"))
    if inputs is None:
        inputs = total(text_tokens, image_tokens)
    elif image_tokens and (inputs == text_tokens or inputs < image_tokens):
        inputs = total(inputs, image_tokens)  # a total that is the text alone
    outputs = whole(billed("output_tokens"))
    units = kept({unit: amount(billed(unit)) for unit in _UNITS})
    if inputs is None and not units:
        inputs = whole(raw("input_tokens"))
    if outputs is None and not units:
        outputs = whole(raw("output_tokens"))
    return usage_fields(
        {
            "input_tokens": inputs,
            "output_tokens": outputs,
            "cache_read_tokens": whole(get("cached_tokens")),
            "input_image_tokens": image_tokens,
            "other_units": units,
        }
    )


def _finish(reason: object) -> Fields:
    fields = finish_fields((reason,))
    failure = _FAILURES.get(label(reason) or "")
    if failure:
        fields.update(status="error", error_type=failure)
    return fields


def _operation(get: Get) -> str | None:
    if get("embeddings") is not None:
        return "embeddings"
    if get("results") is not None:
        return "rerank"
    return "classify" if get("classifications") is not None else None


def read_response(response: object) -> Fields:
    """Return the event fields of an answer of any of these APIs; none of them names its model."""
    get = getter(response)
    usage = get("usage")
    identifier = next(
        (i for n in ("id", "response_id") if (i := label(get(n), MAX_IDENTIFIER))), None
    )
    fields = kept({"response_id": identifier, "operation": _operation(get)})
    fields.update(read_usage(get("meta") if usage is None else usage))
    reason = get("finish_reason")
    if reason is not None:
        message = get("message")
        calls = get("tool_calls") if message is None else read(message, "tool_calls")
        fields["tool_calls_count"] = len(items(calls))
        fields.update(_finish(reason))
    return fields


class CohereStream:
    """Reads the events of `chat_stream`."""

    __slots__ = ("_calls", "_end", "_fields", "_seen")

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._end: Fields = {}
        self._calls = 0
        self._seen = False

    def add(self, chunk: Any) -> None:
        """Look at one event."""
        try:
            kind = chunk["type"] if type(chunk) is dict else chunk.type
            if kind in _TEXT:
                return
            self._seen = True
            if kind == "tool-call-start":
                self._calls += 1
            elif kind == "message-start":
                self._fields = kept({"response_id": label(read(chunk, "id"), MAX_IDENTIFIER)})
            elif kind == "message-end":
                delta = read(chunk, "delta")
                self._end = read_usage(read(delta, "usage"))
                self._end.update(_finish(read(delta, "finish_reason")))
        except Exception:
            self._add_v1(getter(chunk))

    def _add_v1(self, get: Get) -> None:
        """Look at an event of v1, whose kind has another name."""
        kind = label(get("event_type"))
        self._seen |= kind is not None
        if kind == "stream-end":
            self._end = read_response(get("response"))
            self._calls = len(items(read(get("response"), "tool_calls")))

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        fields = {"usage_source": "missing", **self._fields, **self._end}
        if self._seen:
            fields["tool_calls_count"] = self._calls
        if "finish_reasons" not in fields:
            fields.update(cut_off())
        return fields


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of a call of the client."""
    get = getter(arguments)
    return read_common_request(get) | kept(
        {
            "max_tokens": limit_asked(get, "max_tokens"),
            "reasoning_level": label(read(get("thinking"), "type")),
        }
    )


FLAVOUR = Flavour(
    name="cohere",
    operation="chat",
    read_request=read_request,
    read_response=read_response,
    read_stream=CohereStream,
)
