"""From a finished OpenTelemetry span to one event, or to nothing when it is no call of a model.

Pure: the same span always gives the same event under the same `event_id`, wherever it is mapped, in
the service or in the pipeline. Prompts, responses and user ids are never looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import cast

from tokentide._contract import (
    MAX_DURATION_MS,
    MAX_EPOCH_US,
    MAX_IDENTIFIER,
    MAX_TOKENS,
)
from tokentide.semconv.attributes import (
    COUNT_FIELDS,
    finite_number,
    has_unusable_count,
    provider_of,
    table_fields,
    whole_count,
)
from tokentide.semconv.calls import Reading, reading_of, reported_by
from tokentide.semconv.names import (
    BOUNDS_IN_STREAMS,
    EXCLUSIVE_INPUT,
    FINISH_REASONS,
    GENAI,
    NO_CACHES,
    ONLY_GENAI,
    OPENINFERENCE,
    OPENLLMETRY,
    SHARED_SCOPE,
    TOTAL_TOKENS,
    V136,
    V141,
)
from tokentide.semconv.server_tools import may_have_run, searches_reported
from tokentide.semconv.span import Attributes, SpanData
from tokentide.semconv.span_failure import failure_of
from tokentide.usage.gemini_grounding import billed_searches
from tokentide.usage.reading import finish_fields, label, usage_fields
from tokentide.usage.totals import settle

_MAX_CHOICES = 16
"""Choices whose finish reason is looked for under a name of its own."""
_OF_OPENAI = frozenset({"openai", "openai_v2"})
"""Parts of the names of scopes that instrument OpenAI's client."""
_LEAST_CACHED = 1024
"""Shortest prompt that OpenAI caches."""
_MAX_PARAMETERS = 65_536
"""Longest `llm.invocation_parameters` that is parsed."""


def event_of(span: SpanData, reading: Reading | None = None) -> dict[str, object] | None:
    """Return the `request` event of a span, None when the span is no call of a model.

    The event satisfies the contract, but for `service` where the resource names none.

    Args:
        span: The span.
        reading: What `reading_of` says of it, where that is known already.
    """
    reading = reading or reading_of(span)
    operation = reading.operation
    if operation is None:
        return None
    attributes = reported_by(span)
    fields = _dimensions(span, attributes)
    counts = {name: fields.pop(name) for name in COUNT_FIELDS if name in fields}
    is_unusable = has_unusable_count(attributes, counts)
    duration_ms = min(max(0, span.end_ns - span.start_ns) / 1e6, MAX_DURATION_MS)
    event: dict[str, object] = {
        "type": "request",
        "event_id": event_id(span),
        "started_at_us": min(max(0, span.start_ns // 1000), MAX_EPOCH_US),
        "duration_ms": duration_ms,
        "operation": operation,
        "provider": provider_of(attributes) or "unknown",
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
    is_bound = span.scope in BOUNDS_IN_STREAMS and event.get("stream") is not False
    is_bound = is_bound or (span.scope in NO_CACHES and _may_be_cached(event, span.scope))
    reasons = _finish_reasons(span)
    is_counted = _count_searches(event, span)
    is_bound = is_bound or may_have_run(span, reasons, is_counted=is_counted)
    if is_unusable or is_bound or reading.is_uncertain:
        event["usage_source"] = "missing"  # the counts are no more than a bound
    if "reported_cost_pico_usd" in event:
        event["reported_cost_source"] = event["sdk_name"] or generation_of(attributes)
    _name_models(event, attributes)
    _first_token(event, span, duration_ms)
    event.update(finish_fields(reasons))
    if span.is_error or attributes.get("error.type"):
        event.update(failure_of(span))
    event.setdefault("status", "ok")
    return {name: value for name, value in event.items() if value is not None}


def _dimensions(span: SpanData, attributes: Attributes) -> dict[str, object]:
    """Return the fields that the span and its resource name, each by its own attribute."""
    around = table_fields(span.resource)
    around.pop("region", None)  # of a resource: where the caller runs; of a call: where it goes
    fields = {**around, **table_fields(attributes)}
    for name in ("service", "environment"):
        if fields.get(name) == "default" and span.scope.startswith("openlit"):
            # What OpenLIT writes where none is named.
            fields[name] = around.get(name, "default")
    if "sentry.op" in attributes and "server_address" in fields:
        fields["host"] = fields.pop("server_address")  # Sentry's SDK names the caller's machine so
    if str(fields.get("service", "")).startswith("unknown_service"):
        del fields["service"]  # OpenTelemetry's default
    return fields


def event_id(span: SpanData) -> str:
    """Return the id of a span's event: a UUIDv7 made of its start and its two ids.

    Sent twice, or mapped in two places, the same span is recognisable by it.
    """
    seed = f"{span.trace_id}/{span.span_id}" if span.span_id else f"{span.name}/{span.start_ns}"
    return uuid_of(seed, span.start_ns)


def uuid_of(seed: str, start_ns: int) -> str:
    """Return the UUIDv7 of a time (epoch ns) that depends on it and on the seed alone."""
    bits = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:10], "big")
    epoch_ms = max(0, start_ns) // 1_000_000 & 0xFFFF_FFFF_FFFF
    number = epoch_ms << 80 | 0x7 << 76 | (bits >> 62 & 0xFFF) << 64
    number |= 0b10 << 62 | bits & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def generation_of(attributes: Attributes) -> str:
    """Return whose names a span carries, as in the table of names."""
    if "openinference.span.kind" in attributes or "llm.token_count.prompt" in attributes:
        return OPENINFERENCE
    if not ONLY_GENAI.isdisjoint(attributes):
        return GENAI
    if "gen_ai.provider.name" in attributes:
        return V141
    return V136 if "gen_ai.system" in attributes else OPENLLMETRY


# -- usage ----------------------------------------------------------------------------------------


def _usage(counts: dict[str, int], attributes: Attributes, scope: str) -> dict[str, object]:
    """Return the token fields of a span, totals inclusive, and `usage_source`.

    The conventions include cached tokens in the input and reasoning in the output. Some
    instrumentations copy a provider's exclusive counts; they are recognised by their name, or as
    `settle` does. What a total has beyond all that is not known to be read or written, but through
    OpenAI's client: there only thoughts are left out.
    """
    stated = (whole_count(attributes.get(name)) for name in TOTAL_TOKENS)
    total = next((number for number in stated if number is not None), 0)
    fields: dict[str, object] = {**counts}
    inputs = counts.get("input_tokens", 0)
    cached = counts.get("cache_read_tokens", 0) + counts.get("cache_write_tokens", 0)
    if scope in EXCLUSIVE_INPUT and cached <= inputs:  # more is none of it, and shows
        fields["input_tokens"] = inputs + cached
    settle(fields, total, is_output=_is_of_openai(scope))
    for name in ("input_tokens", "output_tokens"):
        if cast("int", fields.get(name, 0)) > MAX_TOKENS:
            del fields[name]
    return usage_fields(fields)


def _may_be_cached(event: dict[str, object], scope: str) -> bool:
    """Return whether part of the input may be cached although caches are not reported."""
    inputs = event.get("input_tokens")
    if inputs is None or "cache_read_tokens" in event or event["operation"] == "embeddings":
        return False
    if event["provider"] in ("openai", "azure.ai.openai"):
        return cast("int", inputs) >= _LEAST_CACHED
    return scope != SHARED_SCOPE  # of other providers, it reports caches


def _is_of_openai(scope: str) -> bool:
    """Return whether OpenAI's client was instrumented, whose format leaves out thoughts alone."""
    return not _OF_OPENAI.isdisjoint(scope.split("."))


# -- single fields --------------------------------------------------------------------------------


def _parameters(attributes: Attributes) -> dict[str, object]:
    """Return what OpenInference's JSON of the request's parameters says."""
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
        "max_tokens": whole_count(given.get("max_completion_tokens", given.get("max_tokens"))),
        "temperature": finite_number(given.get("temperature")),
        "stream": given.get("stream") if type(given.get("stream")) is bool else None,
        "service_tier_requested": label(given.get("service_tier")),
    }
    return {name: value for name, value in read.items() if value is not None}


def _name_models(event: dict[str, object], attributes: Attributes) -> None:
    """Fill the model names from OpenInference's one name, which is the best it knew at the end."""
    known = label(attributes.get("llm.model_name"), MAX_IDENTIFIER) or label(
        attributes.get("embedding.model_name"), MAX_IDENTIFIER
    )
    if known and event.get("request_model"):
        event.setdefault("response_model", known)
    event.setdefault("request_model", known or event.get("response_model") or "unknown")


def _count_searches(event: dict[str, object], span: SpanData) -> bool:
    """Fill the searches that a span reports, as they are billed; return whether it reports any."""
    reported = cast("int | None", event.get("web_searches"))
    reported = searches_reported(span) if reported is None else reported
    if reported is None:
        return False
    if event["provider"] in ("gcp.gemini", "gcp.vertex_ai"):
        reported = billed_searches(reported, str(event.get("request_model", "")))
    event["web_searches"] = reported
    return True


def _first_token(event: dict[str, object], span: SpanData, duration_ms: float) -> None:
    if "ttft_ms" not in event:
        for span_event in span.events[:64]:
            if span_event.name == "First Token Stream Event" and span_event.time_ns > span.start_ns:
                event["ttft_ms"] = (span_event.time_ns - span.start_ns) / 1e6
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
    return [
        reason
        for span_event in span.events
        if span_event.name == "gen_ai.choice"
        and (reason := span_event.attributes.get("finish_reason"))
    ]
