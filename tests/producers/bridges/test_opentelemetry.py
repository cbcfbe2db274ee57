"""Spans of the OpenTelemetry SDK become our own events, and each call one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

import tokentide
from tests.golden.pricing import judged
from tests.model_calls import CALLS, REFUSED, clients
from tests.recorded_spans.record import otlp_of
from tokentide.bridges.opentelemetry import TokentideSpanExporter, TokentideSpanProcessor
from tokentide.seen_calls import seen_calls, span_key
from tokentide.testing import Capture, captured
from tokentide_jobs.core.record.otlp import read_otlp

CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 2,
}


@pytest.fixture(autouse=True)
def unwatched() -> Iterator[None]:
    yield
    seen_calls.__init__()  # type: ignore[misc]


@pytest.fixture
def capture() -> Iterator[Capture]:
    with captured(service="from-settings") as found:
        yield found


def provider_for(capture: Capture, **resource: str) -> TracerProvider:
    provider = TracerProvider(resource=Resource(dict(resource)), shutdown_on_exit=False)
    provider.add_span_processor(TokentideSpanProcessor(capture.telemetry))
    return provider


def test_a_finished_span_is_an_event(capture: Capture) -> None:
    provider = provider_for(capture, **{"service.name": "search-api"})
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai_v2", "2.4b0")
    with tracer.start_as_current_span("answer") as root:
        span = tracer.start_span("chat gpt-4o-mini", kind=SpanKind.CLIENT, attributes=CHAT)
        assert capture.requests == []
        span.end()
    [event] = capture.requests
    assert event["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert event["parent_span_id"] == f"{root.get_span_context().span_id:016x}"
    assert (event["service"], event["provider"]) == ("search-api", "openai")
    assert (event["sdk_name"], event["sdk_version"]) == (
        "opentelemetry.instrumentation.openai_v2",
        "2.4b0",
    )
    judged(event)


def test_a_span_that_failed_is_an_event(capture: Capture) -> None:
    tracer = provider_for(capture).get_tracer("t")
    span = tracer.start_span("chat", kind=SpanKind.CLIENT, attributes={**CHAT, "error.type": "429"})
    span.set_status(Status(StatusCode.ERROR, "too fast"))
    span.end()
    [event] = capture.requests
    assert (event["status"], event["error_type"]) == ("error", "rate_limit")
    assert event["service"] == "from-settings"


def test_the_exporter_does_the_same_for_batches(capture: Capture) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(TokentideSpanExporter(capture.telemetry)))
    provider.get_tracer("t").start_span("chat", kind=SpanKind.CLIENT, attributes=CHAT).end()
    provider.get_tracer("t").start_span("GET /").end()
    assert len(capture.requests) == 1
    assert provider.force_flush(1000)


def test_a_framework_and_its_client_tell_of_one_call(capture: Capture) -> None:
    tracer = provider_for(capture).get_tracer("t")
    with (
        tracer.start_as_current_span("ChatOpenAI", attributes=CHAT),
        tracer.start_as_current_span("step"),
        tracer.start_as_current_span("openai.chat", attributes=CHAT) as inner,
    ):
        pass
    [event] = capture.requests
    assert event["span_id"] == f"{inner.get_span_context().span_id:016x}"


def test_two_calls_inside_each_other_are_two_when_their_tokens_differ(capture: Capture) -> None:
    tracer = provider_for(capture).get_tracer("t")
    with tracer.start_as_current_span("outer", attributes=CHAT):
        inner = {**CHAT, "gen_ai.usage.output_tokens": 99}
        tracer.start_span("inner", attributes=inner).end()
    assert len(capture.requests) == 2


def test_what_may_be_the_sum_of_calls_that_ended_inside_it_is_none(capture: Capture) -> None:
    tracer = provider_for(capture).get_tracer("t")
    summed = {**CHAT, "gen_ai.operation.name": "research", "gen_ai.usage.input_tokens": 99}
    with tracer.start_as_current_span("research", attributes=summed):
        tracer.start_span("chat", kind=SpanKind.CLIENT, attributes=CHAT).end()
    tracer.start_span("research", attributes=summed).end()
    assert [event["operation"] for event in capture.requests] == ["chat", "research"]


def test_tokens_in_the_last_of_many_events_count(capture: Capture) -> None:
    provider = TracerProvider(span_limits=SpanLimits(max_events=300), shutdown_on_exit=False)
    provider.add_span_processor(TokentideSpanProcessor(capture.telemetry))
    at_start = [name for name in CHAT if ".usage." not in name]
    span = provider.get_tracer("t").start_span("chat", attributes={n: CHAT[n] for n in at_start})
    for _ in range(200):
        span.add_event("gen_ai.content.chunk")
    span.add_event("usage", {name: n for name, n in CHAT.items() if name not in at_start})
    span.end()
    [event] = capture.requests
    assert (event["input_tokens"], event["output_tokens"]) == (10, 2)


def test_a_call_that_the_instrumented_client_recorded_is_not_recorded_again(
    capture: Capture,
) -> None:
    tracer = provider_for(capture).get_tracer("t")
    span = tracer.start_span("chat", attributes=CHAT)
    context = span.get_span_context()
    key = span_key(f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert seen_calls.is_first("client", "", key)
    span.end()
    assert capture.requests == []


def test_a_span_that_can_not_be_read_never_raises(capture: Capture) -> None:
    processor = TokentideSpanProcessor(capture.telemetry)
    processor.on_end(None)  # type: ignore[arg-type]
    processor.on_end(ReadableSpan(name="bare"))
    processor.shutdown()
    assert capture.requests == []
    capture.telemetry.close()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("t").start_span("chat", attributes=CHAT).end()


# -- by a Collector --------------------------------------------------------------------------------


def test_a_span_is_the_same_event_in_its_process_and_by_a_collector(capture: Capture) -> None:
    provider, exporter = provider_for(capture, **{"service.name": "svc"}), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai.v1", "0.62.4")
    span = tracer.start_span("chat", kind=SpanKind.CLIENT, attributes={**CHAT, "gen_ai.n": 0.5})
    span.add_event("exception", {"exception.type": "openai.RateLimitError"})
    span.set_status(Status(StatusCode.ERROR, "Error code: 429 - {'code': 'slow_down'}"))
    span.end()
    [request], [event] = otlp_of(exporter), capture.requests
    [line] = read_otlp(orjson.dumps(request)).lines
    by_collector = orjson.loads(line)
    assert (event["status"], event["http_status"]) == ("error", 429)
    assert by_collector == {name: event[name] for name in by_collector}


# -- beside instrumented clients -------------------------------------------------------------------


@pytest.mark.parametrize("failing", [False, True])
def test_an_instrumented_client_inside_a_models_span_is_one_event(
    capture: Capture, failing: bool
) -> None:
    tracer = provider_for(capture).get_tracer("openinference.instrumentation.openai")
    with clients() as sdk:
        tokentide.instrument_client(sdk["openai"], telemetry=capture.telemetry)
        # OpenInference reports no response id: only the span around the call identifies it.
        with tracer.start_as_current_span("ChatCompletion", attributes=CHAT):
            (REFUSED if failing else CALLS[0]).run(sdk)
    [event] = capture.requests
    assert event["sdk_name"] == "tokentide"
    assert event["status"] == ("error" if failing else "ok")
