"""Make the calls of `tests.model_calls` under other vendors' instrumentation, and keep its spans.

Run by hand, each family in an environment of its own, for their packages are many and fight over
versions; tests read what it wrote. In a checkout, with the packages that `FAMILIES` names:

    python -m venv V
    V/bin/pip install openai anthropic opentelemetry-exporter-otlp-proto-common PACKAGES
    V/bin/python -m tests.recorded_spans.record openlit

Ids, times and everything that is measured are made the same each time.
"""

from __future__ import annotations

import base64
import itertools
import json
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from tests.model_calls import CALLS, REFUSED, clients

Spans = list[dict[str, Any]]
Take = Callable[[], list[dict[str, Any]]]
"""Returns the export requests of what ended since it was last called."""
FOLDER = Path(__file__).parent
_BASE_NS = 1_795_176_000_000_000_000
_SECOND_NS = 1_000_000_000
_MEASURED = ("time_to_first", "time_per_output", "duration", ".tbt", ".ttft", "latency")
"""Parts of the names of attributes that are measured."""
_RATES = {"gpt-4o-mini": (0.15, 0.6), "gpt-5-mini": (0.25, 2.0), "claude-sonnet-4-5": (3.0, 15.0)}
"""USD per million tokens, for OpenLIT's own reckoning."""


class CountedIds(IdGenerator):
    """Ids that are the same in each run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def generate_trace_id(self) -> int:
        """Return the next number, as a trace's."""
        return 0x1000 + next(self._numbers)

    def generate_span_id(self) -> int:
        """Return the next number, as a span's."""
        return 0x2000 + next(self._numbers)


def otlp_of(exporter: InMemorySpanExporter) -> list[dict[str, Any]]:
    """Return the request a Collector would write: protobuf's JSON with ids in hex."""
    spans = exporter.get_finished_spans()
    exporter.clear()
    if not spans:
        return []
    json_format = import_module("google.protobuf.json_format")
    request: dict[str, Any] = json_format.MessageToDict(encode_spans(spans))
    for span in spans_of(request):
        for name in span.keys() & {"traceId", "spanId", "parentSpanId"}:
            span[name] = base64.b64decode(span[name]).hex()
    return [request]


def spans_of(request: dict[str, Any]) -> Spans:
    """Return all spans of an export request, which share their dicts with it."""
    return [
        span
        for resource in request["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _instrumentors(*paths: str) -> Take:
    """Start instrumentors of OpenTelemetry's kind: `package.module:Class` each."""
    provider, exporter = _provider()
    for path in paths:
        module, _, name = path.partition(":")
        getattr(import_module(module), name)().instrument(tracer_provider=provider)
    return lambda: otlp_of(exporter)


def _provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": "svc"}),
        id_generator=CountedIds(),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def _openlit() -> Take:
    provider, exporter = _provider()
    rates = {
        model: {"promptPrice": prompt / 1000, "completionPrice": completion / 1000}
        for model, (prompt, completion) in _RATES.items()
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as prices:
        json.dump({"chat": rates, "embeddings": {"text-embedding-3-small": 0.00002}}, prices)
    import_module("opentelemetry.trace").set_tracer_provider(provider)  # which it then takes
    import_module("openlit").init(pricing_json=prices.name, disable_metrics=True)
    return lambda: otlp_of(exporter)


def _sentry() -> Take:
    return import_module("tests.recorded_spans.sentry").start()  # type: ignore[no-any-return]


class Family(NamedTuple):
    """Whose instrumentation: its packages, and how it is started."""

    packages: tuple[str, ...]
    start: Callable[[], Take]


FAMILIES = {
    "openllmetry": Family(
        ("opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-anthropic"),
        lambda: _instrumentors(
            "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
            "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
        ),
    ),
    "openinference": Family(
        ("openinference-instrumentation-openai", "openinference-instrumentation-anthropic"),
        lambda: _instrumentors(
            "openinference.instrumentation.openai:OpenAIInstrumentor",
            "openinference.instrumentation.anthropic:AnthropicInstrumentor",
        ),
    ),
    "openai-v2": Family(
        ("opentelemetry-instrumentation-openai-v2",),
        lambda: _instrumentors("opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor"),
    ),
    "genai": Family(
        (
            "opentelemetry-instrumentation-genai-openai",
            "opentelemetry-instrumentation-genai-anthropic",
        ),
        lambda: _instrumentors(
            "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
            "opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor",
        ),
    ),
    "openlit": Family(("openlit",), _openlit),
    "sentry": Family(("sentry-sdk",), _sentry),
}


def recorded(family: str) -> dict[str, Any]:
    """Return what a family's packages record of every call, and their versions."""
    packages, start = FAMILIES[family]
    take = start()
    calls: dict[str, Any] = {}
    with clients() as sdk:
        for call in (*CALLS, REFUSED):
            take()
            call.run(sdk)
            calls[call.name] = [_steadied(request) for request in take()]
    versions = {name: version(name) for name in ("openai", "anthropic", *packages)}
    return {"versions": versions, "calls": calls}


def _steadied(request: dict[str, Any]) -> dict[str, Any]:
    """Replace what differs from run to run: each span takes a second, its events half of one."""
    for span in spans_of(request):
        span["startTimeUnixNano"] = str(_BASE_NS)
        span["endTimeUnixNano"] = str(_BASE_NS + _SECOND_NS)
        for event in span.get("events", ()):
            event["timeUnixNano"] = str(_BASE_NS + _SECOND_NS // 2)
            _steady(event.get("attributes", ()))
        _steady(span.get("attributes", ()))
    return request


def _steady(attributes: Spans) -> None:
    for attribute in attributes:
        if any(part in attribute["key"] for part in _MEASURED):
            attribute["value"] = {"doubleValue": 0.25}
        elif attribute["key"] == "exception.stacktrace":
            attribute["value"] = {"stringValue": "..."}


def main(family: str) -> None:
    """Write the file of one family."""
    text = json.dumps(recorded(family), indent=1, sort_keys=True, ensure_ascii=False)
    (FOLDER / f"{family}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
