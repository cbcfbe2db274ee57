"""Spans of the OpenTelemetry SDK, of OpenLLMetry and of OpenInference become our own events."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

import tokentide
from tests.golden.pricing import judged, priced
from tests.model_calls import CALLS, FIRST_COUNT, REFUSED, Call, clients
from tests.places import ROOT
from tokentide.bridges.opentelemetry import TokentideSpanExporter, TokentideSpanProcessor
from tokentide.seen_calls import seen_calls, span_key
from tokentide.testing import Capture, captured
from tokentide.usage.flavour import flavour
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


def test_a_call_that_the_instrumented_client_told_is_not_told_again(capture: Capture) -> None:
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


# -- the same calls by OpenLLMetry and OpenInference, and by our own extractors ------------------

COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
)


@pytest.fixture(scope="module", params=["openllmetry", "openinference"])
def recorded(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """What the instrumentors of one family record of every call, by the call's name."""
    if find_spec("openinference") is None and request.param == "openinference":
        pytest.skip("OpenInference's instrumentors are not installed; they belong to `bench`")
    done = subprocess.run(
        [sys.executable, "-m", "tests.instrumentor_spans", str(request.param)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return {found["call"]: found for found in json.loads(done.stdout)}


def counted(event: dict[str, Any]) -> dict[str, int]:
    """Counts that are not zero: some instrumentations write 0 for what was not reported."""
    return {name: event[name] for name in COUNTS if event.get(name)}


@pytest.mark.integration
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_instrumentors_spans_become_the_events_of_our_own_extractors(
    recorded: dict[str, dict[str, Any]], call: Call
) -> None:
    [in_process] = recorded[call.name]["events"]
    read = read_otlp(orjson.dumps(recorded[call.name]["otlp"]))
    [line] = read.lines
    by_collector: dict[str, Any] = orjson.loads(line)
    assert by_collector["event_id"] == in_process["event_id"]

    known = flavour(call.flavour)
    reading = known.read_stream()
    for chunk in call.chunks:
        reading.add(chunk)
    ours: dict[str, Any] = {
        **in_process,
        "provider": call.provider,
        "response_model": None,
        **dict.fromkeys((*COUNTS, "reasoning_tokens")),
        **(reading.fields() if call.chunks else known.read_response(call.answer)),
    }
    is_added = bool(call.chunks) and in_process["sdk_name"].endswith(".anthropic")
    is_added = is_added and in_process["sdk_name"].startswith("opentelemetry.")
    if is_added:  # OpenLLMetry adds the first count of a stream to the last, which has it
        ours["output_tokens"] += FIRST_COUNT
    for event in (in_process, by_collector):
        judged(event)
        assert counted(event) == counted(ours)
        assert not is_added or event["usage_source"] == "missing"
        assert event["provider"] == call.provider
        assert event["status"] == "ok"
        price = priced(event)
        # Of Anthropic's cache writes, their attributes do not say how long they live.
        has_doubt = bool(event.get("cache_write_tokens"))
        assert price["price_status"] == ("partial" if has_doubt else "exact")
        assert price["cost_pico_usd"] == priced(ours)["cost_pico_usd"] > 0


@pytest.mark.integration
def test_a_failed_call_is_an_error_event(recorded: dict[str, dict[str, Any]]) -> None:
    [line] = read_otlp(orjson.dumps(recorded["refused"]["otlp"])).lines
    event = orjson.loads(line)
    judged(event)
    assert (event["status"], event["error_type"]) == ("error", "rate_limit")
    assert (event["http_status"], event["usage_source"]) == (429, "missing")


# -- beside instrumented clients -------------------------------------------------------------------


@pytest.mark.parametrize("failing", [False, True])
def test_an_instrumented_client_inside_a_models_span_is_one_event(
    capture: Capture, failing: bool
) -> None:
    tracer = provider_for(capture).get_tracer("openinference.instrumentation.openai")
    with clients() as sdk:
        tokentide.instrument_client(sdk["openai"], telemetry=capture.telemetry)
        # OpenInference tells no response id: only the span around the call identifies it.
        with tracer.start_as_current_span("ChatCompletion", attributes=CHAT):
            (REFUSED if failing else CALLS[0]).run(sdk)
    [event] = capture.requests
    assert event["sdk_name"] == "tokentide"
    assert event["status"] == ("error" if failing else "ok")
