"""Anthropic's Messages API, from its own endpoint, Vertex or a gateway that speaks it.

`input_tokens` there leaves out both caches, so they are added: totals of the event contract are
inclusive. Streams report the input in `message_start` and running totals in `message_delta`; what
a delta does not repeat stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

from tokentide._contract import MAX_IDENTIFIER, MAX_LABEL
from tokentide.error_codes import known_code
from tokentide.usage.flavour import Flavour
from tokentide.usage.openai_parts import error_fields, read_common_request
from tokentide.usage.reading import (
    Fields,
    count,
    cut_off,
    finish_fields,
    getter,
    items,
    kept,
    label,
    read,
    small_count,
    take_counts,
    take_labels,
    total,
    usage_fields,
)

_UNCACHED, _WRITE_5M = "uncached", "write_5m"
"""Counts of Anthropic's own that no field of the event holds."""
_COUNTS = (
    ("input_tokens", _UNCACHED),
    ("cache_read_input_tokens", "cache_read_tokens"),
    ("cache_creation_input_tokens", "cache_write_tokens"),
    ("output_tokens", "output_tokens"),
)
_LIFETIMES = (
    ("ephemeral_5m_input_tokens", _WRITE_5M),
    ("ephemeral_1h_input_tokens", "cache_write_1h_tokens"),
)
_DETAILS = (("thinking_tokens", "reasoning_tokens"),)
_IDENTITY = (("model", "response_model", MAX_IDENTIFIER), ("id", "response_id", MAX_IDENTIFIER))
_SERVED = (
    ("service_tier", "service_tier", MAX_LABEL),
    ("speed", "speed", MAX_LABEL),
    ("inference_geo", "inference_geo", MAX_LABEL),
)


@dataclass(frozen=True, slots=True)
class Iterations:
    """What the per-iteration list of the beta API adds to the totals beside it.

    Attributes:
        compaction: Counts of compactions, which the top-level usage does not contain.
        advisor: Counts of an advisor: another model, whose tokens are not in it either.
        served_by: The fallback model that answered, None when the first one did.
    """

    compaction: Fields
    advisor: Fields
    served_by: str | None


def read_counts(usage: object) -> Fields:
    """Return the counts of a usage object as they stand in it; see `inclusive`."""
    get = getter(usage)
    counts: Fields = {}
    take_counts(counts, get, _COUNTS)
    lifetimes = get("cache_creation")
    if lifetimes is not None:
        take_counts(counts, getter(lifetimes), _LIFETIMES)
    details = get("output_tokens_details")
    if details is not None:
        take_counts(counts, getter(details), _DETAILS)
    tools = get("server_tool_use")
    if tools is not None:
        searches = small_count(read(tools, "web_search_requests"))
        if searches is not None:
            counts["web_searches"] = searches
    return counts


def inclusive(counts: Fields) -> Fields:
    """Return counts under the event's names, with both caches part of the input."""
    fields = cast("dict[str, int | None]", counts).copy()
    get = fields.get
    uncached = fields.pop(_UNCACHED, None)
    write_5m = fields.pop(_WRITE_5M, None)
    if "cache_write_tokens" not in fields:
        written = total(write_5m, get("cache_write_1h_tokens"))
        if written is not None:
            fields["cache_write_tokens"] = written
    if write_5m is not None and write_5m == get("cache_write_tokens"):
        fields.setdefault("cache_write_1h_tokens", 0)  # nothing is left for an hour
    if uncached is not None:  # caches without the rest of the input are no total
        fields["input_tokens"] = total(
            uncached, get("cache_read_tokens"), get("cache_write_tokens")
        )
    return cast("Fields", fields)


def _iterations(entries: object) -> Iterations:
    compaction: Fields = {}
    advisor: Fields = {}
    served_by: str | None = None
    for entry in items(entries):
        kind = label(read(entry, "type"))
        if kind == "compaction":
            _add(compaction, inclusive(read_counts(entry)))
        elif kind == "advisor_message":
            _add(advisor, inclusive(read_counts(entry)))
        elif kind == "fallback_message":
            served_by = label(read(entry, "model"), MAX_IDENTIFIER)
    return Iterations(compaction, advisor, served_by)


def _add(sums: Fields, counts: Fields) -> None:
    for name, number in counts.items():
        sums[name] = total(cast("int | None", sums.get(name)), cast("int | None", number))


def _usage(counts: Fields, iterations: Iterations | None) -> Fields:
    fields = inclusive(counts)
    if iterations is not None:
        if "input_tokens" in fields:
            _add(fields, iterations.compaction)
        # No field holds another model's tokens, and they must not go unseen.
        fields["other_units"] = {
            f"advisor_{name}": iterations.advisor[name]
            for name in ("input_tokens", "output_tokens")
            if iterations.advisor.get(name) is not None
        }
    return usage_fields(fields)


def _take_served(fields: Fields, usage: object) -> None:
    """Add under what conditions the call was served."""
    take_labels(fields, getter(usage), _SERVED)
    if fields.get("service_tier") == "batch":
        fields["processing"] = "batch"


def _stop(reason: object, details: object) -> Fields:
    fields = finish_fields((reason,))
    if details is not None and fields.get("status") == "refused":
        category = known_code(label(read(details, "category")) or "")
        if category:
            fields["error_code"] = category
    return fields


def _is_call(block: object) -> bool:
    return label(getter(block)("type")) == "tool_use"


def read_response(response: object) -> Fields:
    """Return the event fields of a `Message`, of the raw or the beta API."""
    # A tuple comes of `condense`: "Condensed responses" in docs/producer-internals.md.
    get = getter(_message(response) if type(response) is tuple else response)
    usage = get("usage")
    entries = getter(usage)("iterations")
    iterations = None if entries is None else _iterations(entries)
    fields = _usage(read_counts(usage), iterations)
    take_labels(fields, get, _IDENTITY)
    if iterations is not None and iterations.served_by:
        fields["response_model"] = iterations.served_by
    _take_served(fields, usage)
    blocks = items(get("content"))
    if blocks:
        calls = 0
        for block in blocks:
            if _is_call(block):
                calls += 1
        fields["tool_calls_count"] = calls
    fields.update(_stop(get("stop_reason"), get("stop_details")))
    if label(get("type")) == "error":
        fields.update(error_fields(get("error")))
    return fields


_PLAIN_FIELDS = ("id", "model", "type", "stop_reason", "stop_details")
_plain_fields = itemgetter(*_PLAIN_FIELDS)


def condense(response: Any) -> object:
    """Return what an ordinary `Message` says of itself as a tuple, for `read_response`.

    Of its content the types of the blocks. One with more than its class declares, or one that is no
    object of the client's, is returned as it is.
    """
    try:
        message = response.__dict__
        if response.__pydantic_extra__ or message["usage"].__pydantic_extra__:
            return response
        kinds = [cast("Any", block).type for block in items(message["content"])]
        return _plain_fields(message), message["usage"].__dict__, kinds
    except Exception:
        return response


def _message(condensed: tuple[Any, ...]) -> Fields:
    """Return the parsed message that a condensed one stands for."""
    values, usage, kinds = condensed
    content = [{"type": kind} for kind in kinds]
    return {**dict(zip(_PLAIN_FIELDS, values, strict=True)), "usage": usage, "content": content}


class MessageStream:
    """Reads raw stream events, and those of the SDK's `messages.stream()` helper."""

    __slots__ = (
        "_blocks",
        "_calls",
        "_counts",
        "_ended",
        "_error",
        "_fields",
        "_iterations",
        "_stop",
    )

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._counts: Fields = {}
        self._iterations: Iterations | None = None
        self._stop: Fields = {}
        self._error: Fields = {}
        self._blocks = self._calls = 0
        self._ended = False

    def add(self, chunk: Any) -> None:
        """Look at one event; content deltas cost a comparison."""
        try:
            kind = chunk.get("type") if type(chunk) is dict else chunk.type
            if kind == "content_block_delta":
                return
            if kind == "content_block_start":
                self._blocks += 1
                self._calls += _is_call(read(chunk, "content_block"))
            elif kind == "message_start":
                self._start(read(chunk, "message"))
            elif kind == "message_delta":
                self._delta(chunk)
            elif kind == "error" or kind is None:  # gateways send an error bare
                self._error = error_fields(read(chunk, "error")) or self._error
        except Exception:  # an event of the host's own making; the others still count
            return

    def _start(self, message: object) -> None:
        get = getter(message)
        usage = get("usage")
        take_labels(self._fields, get, _IDENTITY)
        _take_served(self._fields, usage)
        self._counts = read_counts(usage)

    def _delta(self, chunk: object) -> None:
        usage = read(chunk, "usage")
        _take_served(self._fields, usage)
        for name, number in read_counts(usage).items():
            # Totals are cumulative, so a zero behind a count is a proxy that left the field out.
            if number or name == "output_tokens" or name not in self._counts:
                self._counts[name] = number
            self._ended |= name == "output_tokens"
        entries = read(usage, "iterations")
        if entries is not None:
            self._iterations = _iterations(entries)
        delta = getter(read(chunk, "delta"))
        self._stop.update(_stop(delta("stop_reason"), delta("stop_details")))

    def fields(self) -> Fields:
        """Return the event fields; without a final count the usage is a lower bound."""
        fields = dict(self._fields)
        fields.update(_usage(self._counts, self._iterations))
        if not self._ended:
            # What message_start values of the output is its first token, not what was billed.
            fields["usage_source"] = "missing"
        if self._iterations is not None and self._iterations.served_by:
            fields["response_model"] = self._iterations.served_by
        if self._blocks:
            fields["tool_calls_count"] = self._calls
        fields.update(self._stop or cut_off())
        fields.update(self._error)
        return fields


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `messages.create` or `.stream`."""
    get = getter(arguments)
    fields = read_common_request(get)
    effort = label(read(get("output_config"), "effort"))
    fields.update(
        kept(
            {
                "max_tokens": count(get("max_tokens")),
                "reasoning_level": effort or label(read(get("thinking"), "type")),
            }
        )
    )
    return fields


FLAVOUR = Flavour(
    name="anthropic_messages",
    operation="chat",
    read_request=read_request,
    read_response=read_response,
    read_stream=MessageStream,
    condense=condense,
)
