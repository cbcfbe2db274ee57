"""Sentry's own spans, taken from its envelopes before they leave, in OTLP's shape.

Sentry's SDK sends them to Sentry alone, in a format of its own. Forwarders keep names and
attributes, so they are kept here as they are; only the frame is OTLP's. The machine's name and
the release are set, what is measured is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_OTLP_TYPES = {
    "string": "stringValue",
    "integer": "intValue",
    "double": "doubleValue",
    "boolean": "boolValue",
}
_OF_THE_MACHINE = ("thread.", "process.")


def start() -> Callable[[], list[dict[str, Any]]]:
    """Start Sentry's integrations over a transport in memory, and return what takes their spans."""
    sdk = import_module("sentry_sdk")
    spans: list[dict[str, Any]] = []

    class InMemory(import_module("sentry_sdk.transport").Transport):  # type: ignore[misc]
        """Keeps the spans of each envelope."""

        def capture_envelope(self, envelope: Any) -> None:
            """Keep its spans."""
            for item in envelope.items:
                if item.type == "span":
                    spans.extend(span for span in item.payload.json["items"])

    integrations = import_module("sentry_sdk.integrations")
    names = (("openai", "OpenAIIntegration"), ("anthropic", "AnthropicIntegration"))
    sdk.init(
        dsn="http://key@127.0.0.1:1/1",
        transport=InMemory,
        traces_sample_rate=1.0,
        trace_lifecycle="stream",
        default_integrations=False,
        integrations=[
            getattr(import_module(f"{integrations.__name__}.{module}"), name)()
            for module, name in names
        ],
        server_name="caller-1",
        release="1",
    )

    def take() -> list[dict[str, Any]]:
        sdk.flush()
        ended = [span for span in spans if "gen_ai.operation.name" in span["attributes"]]
        spans.clear()
        return [_request(ended)] if ended else []

    return take


def _request(spans: list[dict[str, Any]]) -> dict[str, Any]:
    scope = {"name": "sentry.python", "version": import_module("sentry_sdk.consts").VERSION}
    frame = {"scope": scope, "spans": [_span(number, span) for number, span in enumerate(spans)]}
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [frame]}]}


def _span(number: int, span: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": span["name"],
        "traceId": f"{0x1000:032x}",
        "spanId": f"{0x2000 + number:016x}",
        "status": {"code": "STATUS_CODE_ERROR"} if span["status"] == "error" else {},
        "attributes": [
            {"key": name, "value": _value(held)}
            for name, held in sorted(span["attributes"].items())
            if not name.startswith(_OF_THE_MACHINE) and name != "sentry.segment.id"
        ],
    }


def _value(held: dict[str, Any]) -> dict[str, Any]:
    value, kind = held["value"], held["type"]
    if kind == "array":
        return {"arrayValue": {"values": [{"stringValue": str(item)} for item in value]}}
    return {_OTLP_TYPES[kind]: str(value) if kind == "integer" else value}
