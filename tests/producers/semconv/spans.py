"""A finished span of a call, and the event that comes of it, accepted by the contract."""

from __future__ import annotations

from typing import Any

import orjson

from tokentide.semconv import SpanData, event_of
from tokentide_schemas.events import EVENT_ADAPTER, RequestEvent

START_NS = 1_790_000_000_123_456_789


def span(attributes: dict[str, object], **fields: Any) -> SpanData:
    given: dict[str, Any] = {
        "name": "chat gpt-4o",
        "start_ns": START_NS,
        "end_ns": START_NS + 2_500_000_000,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "kind": "client",
        **fields,
    }
    return SpanData(attributes=attributes, **given)


def event(attributes: dict[str, object], **fields: Any) -> dict[str, Any]:
    found = event_of(span(attributes, **fields))
    assert found is not None
    accepted = EVENT_ADAPTER.validate_json(orjson.dumps({"service": "svc", **found}))
    assert isinstance(accepted, RequestEvent)
    return found


LATEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
