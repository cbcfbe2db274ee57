"""From a finished OpenTelemetry span to one event, or to nothing when it is no call of a model.

Pure: the same span always gives the same event under the same `event_id`, wherever it is mapped, in
the service or in the pipeline. Agents, workflows, tools and servers are no calls: what they sum up
is counted where it was spent. Prompts, responses and user ids are never looked at.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from tokentide._contract import (
    MAX_COUNT,
    MAX_DURATION_MS,
    MAX_EPOCH_US,
    MAX_IDENTIFIER,
    MAX_SMALL_COUNT,
)
from tokentide.failures import error_type_of, error_type_of_class
from tokentide.semconv.names import (
    CALL,
    EXCLUSIVE_INPUT,
    FINISH_REASONS,
    GENAI,
    OPENINFERENCE,
    OPENINFERENCE_OPERATIONS,
    OPENLLMETRY,
    OPERATIONS,
    PARENT_KINDS,
    PROVIDER,
    TOTAL_TOKENS,
    USAGE,
    V136,
    V141,
    provider_name,
)
from tokentide.usage.reading import finish_fields, label, usage_fields

_MAX_CHOICES = 16
"""Choices whose finish reason is looked for under a name of its own."""
_MAX_PARAMETERS = 65_536
"""Longest `llm.invocation_parameters` that is parsed."""
_MESSAGE_CHARS = 2048
_ERROR_STATUS = re.compile(r"Error code: (\d{3})\b")
_ERROR_CODE = re.compile(r"""['"](code|type)['"]: ?['"]([A-Za-z0-9_.-]{1,64})['"]""")
_CANCELS = ("CancelledError", "KeyboardInterrupt", "SystemExit")

Attributes = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened in a span: its name, its time (epoch ns), its attributes."""

    name: str
    time_ns: int = 0
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanData:
    """A finished span, however it was transported.

    Attributes:
        name: The span's name.
        attributes: Texts, numbers, booleans and sequences of them.
        start_ns: Epoch nanoseconds.
        end_ns: Epoch nanoseconds.
        trace_id: 32 lower-case hex digits, or "".
        span_id: 16 lower-case hex digits, or "".
        parent_span_id: 16 lower-case hex digits, or "".
        kind: internal, server, client, producer, consumer, or "".
        is_error: Whether the span's status says so.
        message: The status' description.
        events: What happened in it.
        resource: Attributes of the process.
        scope: Name of the instrumentation that made the span.
        scope_version: Its version.
    """

    name: str
    attributes: Attributes
    start_ns: int
    end_ns: int
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    kind: str = ""
    is_error: bool = False
    message: str = ""
    events: Sequence[SpanEvent] = ()
    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""


def operation_of(span: SpanData) -> str | None:
    """Returns the operation of a span that is a call of a model, None for every other span."""
    attributes = span.attributes
    if span.kind in ("server", "producer", "consumer"):
        return None  # a gateway or a model server: its client's span is the call
    if label(attributes.get("traceloop.span.kind")) in PARENT_KINDS:
        return None
    kind = attributes.get("openinference.span.kind")
    if type(kind) is str:
        return OPENINFERENCE_OPERATIONS.get(kind.upper())
    for name in ("gen_ai.operation.name", "llm.request.type"):
        stated = attributes.get(name)
        if type(stated) is str and stated:
            return OPERATIONS.get(stated.lower())
    # Before v1.27 nothing said what was done; a provider, a model and tokens together do.
    has_model = "gen_ai.request.model" in attributes or "gen_ai.response.model" in attributes
    if not has_model or _provider(attributes) is None:
        return None
    if not any(_TABLE.get(name, ("",))[0] in _COUNTS for name in attributes):
        return None
    return "embeddings" if "embed" in span.name.lower() else "chat"


def event_of(span: SpanData) -> dict[str, object] | None:
    """Returns the `request` event of a span, None when the span is no call of a model.

    The event satisfies the contract, but for `service` where the resource names none.
    """
    operation = operation_of(span)
    if operation is None:
        return None
    attributes = span.attributes
    fields = {**_table_fields(span.resource), **_table_fields(attributes)}
    counts = {name: fields.pop(name) for name in _COUNTS if name in fields}
    if str(fields.get("service", "")).startswith("unknown_service"):
        del fields["service"]  # what OpenTelemetry says when nobody said anything
    duration_ms = min(max(0, span.end_ns - span.start_ns) / 1e6, MAX_DURATION_MS)
    event: dict[str, object] = {
        "type": "request",
        "event_id": event_id(span),
        "started_at_us": min(max(0, span.start_ns // 1000), MAX_EPOCH_US),
        "duration_ms": duration_ms,
        "operation": operation,
        "provider": _provider(attributes) or "unknown",
        "sdk_name": label(span.scope) or label(span.resource.get("telemetry.sdk.name")),
        "sdk_version": label(span.scope_version)
        or (None if span.scope else label(span.resource.get("telemetry.sdk.version"))),
        "trace_id": span.trace_id or None,
        "span_id": span.span_id or None,
        "parent_span_id": span.parent_span_id or None,
        **fields,
        **_parameters(attributes),
        "tags": {"semconv": generation_of(attributes)},
        **_usage(cast("dict[str, int]", counts), attributes, span.scope),
    }
    _name_models(event, attributes)
    _first_token(event, span, duration_ms)
    event.update(finish_fields(_finish_reasons(span)))
    if span.is_error or attributes.get("error.type"):
        event.update(_failure(span))
    event.setdefault("status", "ok")
    return {name: value for name, value in event.items() if value is not None}


def event_id(span: SpanData) -> str:
    """Returns the id of a span's event: a UUIDv7 made of its start and its two ids.

    Sent twice, or mapped in two places, the same span is recognisable by it.
    """
    seed = f"{span.trace_id}/{span.span_id}" if span.span_id else f"{span.name}/{span.start_ns}"
    bits = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:10], "big")
    epoch_ms = max(0, span.start_ns) // 1_000_000 & 0xFFFF_FFFF_FFFF
    number = epoch_ms << 80 | 0x7 << 76 | (bits >> 62 & 0xFFF) << 64
    number |= 0b10 << 62 | bits & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def generation_of(attributes: Attributes) -> str:
    """Returns whose names a span carries, as in the table of names."""
    if "openinference.span.kind" in attributes or "llm.token_count.prompt" in attributes:
        return OPENINFERENCE
    if "gen_ai.usage.cache_write.input_tokens" in attributes:
        return GENAI
    if "gen_ai.provider.name" in attributes:
        return V141
    return V136 if "gen_ai.system" in attributes else OPENLLMETRY


# -- usage ----------------------------------------------------------------------------------------


def _usage(counts: dict[str, int], attributes: Attributes, scope: str) -> dict[str, object]:
    """Returns the token fields of a span, totals inclusive, and `usage_source`.

    The conventions include cached tokens in the input and reasoning in the output. Some
    instrumentations copy a provider's exclusive counts; they are recognised by a detail that
    exceeds its total, by a grand total that only adds up with the details, or by their name.
    """
    grand = next((v for name in TOTAL_TOKENS if (v := _count(attributes.get(name))) is not None), 0)
    given, made = counts.get("input_tokens"), counts.get("output_tokens")
    cached = counts.get("cache_read_tokens", 0) + counts.get("cache_write_tokens", 0)
    thought = counts.get("reasoning_tokens", 0)
    if given is not None and cached:
        apart = given + cached + (made or 0)
        if cached > given or scope in EXCLUSIVE_INPUT or grand in (apart, apart + thought):
            counts["input_tokens"] = given + cached
            grand = max(grand, apart)  # a sum of what leaves something out says nothing
    if made is not None and thought:
        inclusive = counts.get("input_tokens", 0) + made
        if thought > made or (grand and grand == inclusive + thought):
            counts["output_tokens"] = made + thought
    return usage_fields({name: n for name, n in counts.items() if n <= MAX_COUNT})


# -- single fields --------------------------------------------------------------------------------


def _table_fields(attributes: Attributes) -> dict[str, object]:
    """Returns the fields that single attributes fill; of several for one field the best counts."""
    found: dict[str, object] = {}
    ranks: dict[str, int] = {}
    for name, value in attributes.items():
        entry = _TABLE.get(name)
        if entry is None:
            continue
        field_name, rank, read = entry
        if ranks.get(field_name, _LAST) <= rank:
            continue
        known = read(value)
        if known is not None:
            found[field_name] = known
            ranks[field_name] = rank
    return found


def _count(value: object) -> int | None:
    number = int(value) if type(value) is float and value.is_integer() else value
    return number if type(number) is int and 0 <= number <= MAX_COUNT else None


def _bounded(value: object, low: int, high: int) -> int | None:
    number = _count(value)
    return number if number is not None and low <= number <= high else None


def _number(value: object, high: float = 100.0) -> float | None:
    is_number = type(value) is float or type(value) is int
    return float(cast("float", value)) if is_number and 0 <= cast("float", value) <= high else None


def _milliseconds(value: object, scale: float = 1.0) -> float | None:
    number = _number(value, MAX_DURATION_MS)
    return None if number is None else number * scale


_READERS: dict[str, Callable[[object], object]] = {
    "text": label,
    "identifier": lambda value: label(value, MAX_IDENTIFIER),
    "count": _count,
    "small_count": lambda value: _bounded(value, 0, MAX_SMALL_COUNT),
    "port": lambda value: _bounded(value, 0, 65_535),
    "http_status": lambda value: _bounded(value, 100, 599),
    "number": _number,
    "flag": lambda value: value if type(value) is bool else None,
    "seconds": lambda value: _milliseconds(value, 1000.0),
    "milliseconds": _milliseconds,
}


def _by_attribute() -> dict[str, tuple[str, int, Callable[[object], object]]]:
    """Returns field, rank among the field's sources (the lowest is best) and reader."""
    table: dict[str, tuple[str, int, Callable[[object], object]]] = {}
    ranks: dict[str, int] = {}
    for names in (*USAGE, *CALL):
        for source in names.sources:
            rank = ranks[names.field] = ranks.get(names.field, -1) + 1
            table[source.attribute] = (names.field, rank, _READERS[names.kind])
    return table


_TABLE = _by_attribute()
_LAST = 1 << 30
_COUNTS = tuple(names.field for names in USAGE)


def _provider(attributes: Attributes) -> str | None:
    for source in PROVIDER:
        if name := label(attributes.get(source.attribute)):
            return provider_name(name)
    return None


def _parameters(attributes: Attributes) -> dict[str, object]:
    """Returns what OpenInference's JSON of the request's parameters says."""
    text = attributes.get("llm.invocation_parameters")
    if type(text) is not str or len(text) > _MAX_PARAMETERS:
        return {}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if type(given) is not dict:
        return {}
    read = {
        "request_model": label(given.get("model"), MAX_IDENTIFIER),
        "max_tokens": _count(given.get("max_completion_tokens", given.get("max_tokens"))),
        "temperature": _number(given.get("temperature")),
        "stream": given.get("stream") if type(given.get("stream")) is bool else None,
        "service_tier_requested": label(given.get("service_tier")),
    }
    return {name: value for name, value in read.items() if value is not None}


def _name_models(event: dict[str, object], attributes: Attributes) -> None:
    """Fills the model names from OpenInference's one name, which is the best it knew at the end."""
    known = label(attributes.get("llm.model_name"), MAX_IDENTIFIER) or label(
        attributes.get("embedding.model_name"), MAX_IDENTIFIER
    )
    if known and event.get("request_model"):
        event.setdefault("response_model", known)
    event.setdefault("request_model", known or event.get("response_model") or "unknown")


def _first_token(event: dict[str, object], span: SpanData, duration_ms: float) -> None:
    if "ttft_ms" not in event:
        for happened in span.events[:64]:
            if happened.name == "First Token Stream Event" and happened.time_ns > span.start_ns:
                event["ttft_ms"] = (happened.time_ns - span.start_ns) / 1e6
                break
    ttft_ms = event.get("ttft_ms")
    if ttft_ms is not None and cast("float", ttft_ms) > duration_ms:
        del event["ttft_ms"]


def _finish_reasons(span: SpanData) -> Sequence[object]:
    attributes = span.attributes
    for source in FINISH_REASONS:
        value = attributes.get(source.attribute)
        if type(value) is str and value:
            return (value,)
        if isinstance(value, (list, tuple)) and value:
            return value
    by_choice = (
        attributes.get(f"gen_ai.completion.{number}.finish_reason")
        for number in range(_MAX_CHOICES)
    )
    if found := [reason for reason in by_choice if reason]:
        return found
    events = span.events[:64]
    return [
        reason
        for happened in events
        if happened.name == "gen_ai.choice" and (reason := happened.attributes.get("finish_reason"))
    ]


# -- failures -------------------------------------------------------------------------------------


def _failure(span: SpanData) -> dict[str, object]:
    """Returns status, error_type, error_code and http_status of a span that failed."""
    raised = next((e.attributes for e in reversed(span.events) if e.name == "exception"), {})
    stated = label(span.attributes.get("error.type")) or ""
    name = stated or label(raised.get("exception.type")) or ""
    if name.endswith(_CANCELS):
        return {"status": "cancelled", "error_type": "cancelled"}
    if name.endswith("GeneratorExit"):
        return {"status": "abandoned", "error_type": "cancelled"}
    text = f"{label(raised.get('exception.message'), _MESSAGE_CHARS)} {span.message}"
    text = text[: 2 * _MESSAGE_CHARS]
    # Both big SDKs put the provider's answer into the exception's text; only its codes are taken.
    written = _ERROR_STATUS.search(text)
    http_status = _bounded(span.attributes.get("http.response.status_code"), 100, 599)
    if http_status is None and (digits := stated if stated.isdecimal() else ""):
        http_status = _bounded(int(digits[:9]), 100, 599)
    if http_status is None and written:
        http_status = _bounded(int(written[1]), 100, 599)
    words = dict(_ERROR_CODE.findall(text)) if written else {}
    code = words.get("code") or words.get("type") or ""
    if not code and stated and not stated.isdecimal() and stated == stated.lower():
        code = "" if stated == "_other" else stated
    failure: dict[str, object] = {
        "status": "error",
        "error_type": error_type_of(code, http_status)
        or error_type_of_class(name.rpartition(".")[2])
        or "unknown",
    }
    if code:
        failure["error_code"] = code
    if http_status is not None:
        failure["http_status"] = http_status
    return failure
