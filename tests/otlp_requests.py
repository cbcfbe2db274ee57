"""Export requests as the OpenTelemetry Collector writes them: hex ids, 64-bit numbers as text."""

from __future__ import annotations

import json
from typing import Any


def any_value(value: object) -> dict[str, Any]:
    """One attribute value in OTLP's JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": str(value)}


def attributes(**values: object) -> list[dict[str, Any]]:
    """Attributes in OTLP's JSON."""
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


class Request:
    """One ExportTraceServiceRequest with a single resource and scope."""

    def __init__(self, service: str = "svc", scope: str = "test", version: str = "1") -> None:
        self.resource = {"attributes": attributes(**{"service.name": service})}
        self.scope = {"name": scope, "version": version}
        self.spans: list[dict[str, Any]] = []

    def span(
        self,
        name: str,
        trace_id: str,
        span_id: str,
        start_ns: int,
        held: list[dict[str, Any]],
        *,
        parent: str = "",
        duration_ms: int = 250,
        **fields: Any,
    ) -> None:
        """Add a span."""
        self.spans.append(
            {
                "traceId": trace_id,
                "spanId": span_id,
                "parentSpanId": parent,
                "name": name,
                "kind": 3,
                "startTimeUnixNano": str(start_ns),
                "endTimeUnixNano": str(start_ns + duration_ms * 1_000_000),
                "attributes": held,
                "status": {},
                **fields,
            }
        )

    def encode(self) -> bytes:
        """Return the record's value."""
        scope_spans = [{"scope": self.scope, "spans": self.spans}]
        group = {"resource": self.resource, "scopeSpans": scope_spans}
        return json.dumps({"resourceSpans": [group]}).encode()
