"""Make the calls of `tests.model_calls` under somebody's instrumentors and print what they record.

In a process of its own, because these libraries do not take back every patch they made:
`python -m tests.instrumentor_spans openllmetry` prints a JSON list of {call, otlp, events}.
"""

from __future__ import annotations

import base64
import json
import sys
from importlib import import_module
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.model_calls import CALLS, REFUSED, clients
from tokentide.bridges.opentelemetry import TokentideSpanProcessor
from tokentide.testing import captured

PACKAGES = {
    "openllmetry": "opentelemetry.instrumentation",
    "openinference": "openinference.instrumentation",
}


def otlp_of(spans: Any) -> dict[str, Any]:
    """The request a Collector would write: protobuf's JSON with ids in hex."""
    json_format = import_module("google.protobuf.json_format")
    request: dict[str, Any] = json_format.MessageToDict(encode_spans(spans))
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in span.keys() & {"traceId", "spanId", "parentSpanId"}:
                    span[name] = base64.b64decode(span[name]).hex()
    return request


def main(family: str) -> list[dict[str, Any]]:
    """Returns what every call left behind."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "svc"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    package = PACKAGES[family]
    openai = import_module(f"{package}.openai").OpenAIInstrumentor()
    anthropic = import_module(f"{package}.anthropic").AnthropicInstrumentor()
    found: list[dict[str, Any]] = []
    for instrumentor in (openai, anthropic):
        instrumentor.instrument(tracer_provider=provider)
    with captured() as capture, clients() as sdk:
        provider.add_span_processor(TokentideSpanProcessor(capture.telemetry))
        for call in (*CALLS, REFUSED):
            exporter.clear()
            known = len(capture.requests)
            call.run(sdk)
            spans = exporter.get_finished_spans()
            found.append(
                {
                    "call": call.name,
                    "otlp": otlp_of(spans),
                    "events": capture.requests[known:],
                }
            )
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
