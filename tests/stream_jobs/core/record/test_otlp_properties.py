"""Whatever a Collector's record holds, reading it ends in events that ingest can judge."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.otlp_requests import Request
from tests.sampling import examples
from tokentide.semconv import SpanData, SpanEvent, event_of
from tokentide.semconv.names import CALL, FINISH_REASONS, PROVIDER, TOTAL_TOKENS, USAGE
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.record.contents import events_in, readable
from tokentide_jobs.core.record.dead_letter import Refusal
from tokentide_jobs.core.record.otlp import read_otlp
from tokentide_jobs.core.record.record import Record

TOPIC = "tokentide.otlp.v1"
ALWAYS = AcceptedWindow(0, 1 << 62)
KNOWN = [
    *(source.attribute for names in (*USAGE, *CALL) for source in names.sources),
    *(source.attribute for source in (*PROVIDER, *FINISH_REASONS)),
    *TOTAL_TOKENS,
    "error.type",
    "gen_ai.operation.name",
    "llm.request.type",
    "llm.model_name",
    "llm.invocation_parameters",
    "openinference.span.kind",
    "traceloop.span.kind",
]
WORDS = st.sampled_from(
    ["chat", "embeddings", "LLM", "openai", "gpt-4o", "stop", "refusal", "429", "agent", "", "{}"]
)
COUNTS = st.integers(-2, 1 << 42) | st.sampled_from([0, 10, 1000, 1 << 63, 10**30])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | COUNTS
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
VALUES = st.one_of(
    WORDS.map(lambda text: {"stringValue": text}),
    COUNTS.map(lambda number: {"intValue": str(number)}),
    st.floats(0, 1e6).map(lambda number: {"doubleValue": number}),
    st.booleans().map(lambda flag: {"boolValue": flag}),
    st.lists(WORDS, max_size=3).map(
        lambda words: {"arrayValue": {"values": [{"stringValue": word} for word in words]}}
    ),
    JSON,
)
ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from(KNOWN) | st.text(max_size=5), VALUES).map(
        lambda pair: {"key": pair[0], "value": pair[1]}
    ),
    max_size=14,
)
CALLS = ATTRIBUTES.map(
    lambda held: [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        *(one for one in held if one["key"] != "openinference.span.kind"),
    ]
)


def lines_of(value: bytes) -> list[bytes]:
    """Return the events of a record, as verify and ingest see them."""
    read = readable(TOPIC, [Record(0, 0, 0, value)])
    lines = [line for record in read.records for line in record.value.split(b"\n")]
    assert len(lines) + len(read.dead_letters) == len(events_in(TOPIC, value))
    assert all(b"\n" not in line for line in lines)
    for dead_letter in read.dead_letters:
        assert "cannot be read" not in dead_letter.detail, "an error of our own"
    return lines


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(CALLS, min_size=1, max_size=4), JSON, JSON)
def test_every_call_becomes_an_event_that_is_accepted(
    calls: list[Any], times: Any, status: Any
) -> None:
    request = Request(service="svc")
    for number, held in enumerate(calls, 1):
        request.span("chat", f"{number:032x}", f"{number:016x}", 10**18 + number, held)
    request.spans[0] |= {"endTimeUnixNano": times, "status": status, "kind": times}
    for line in lines_of(request.encode()):
        verdict = judge_line(line, ALWAYS)
        assert not isinstance(verdict, Refusal), verdict


@settings(max_examples=examples(25), deadline=None)
@given(JSON, JSON, JSON)
def test_no_record_of_any_shape_stops_reading(spans: Any, scopes: Any, resource: Any) -> None:
    for request in (
        {"resourceSpans": spans},
        {"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]},
        {
            "resourceSpans": [
                {"resource": resource, "scopeSpans": [{"scope": scopes, "spans": spans}]}
            ]
        },
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": spans}]}], "resourceLogs": scopes},
        spans,
    ):
        value = json.dumps(request).encode("utf-8", "surrogatepass")
        lines_of(value)
        assert read_otlp(value) == read_otlp(value)


@settings(max_examples=examples(18), deadline=None)
@given(
    st.dictionaries(st.sampled_from(KNOWN), JSON, max_size=12),
    st.dictionaries(st.sampled_from(KNOWN), JSON, max_size=6),
    st.integers(-(1 << 63), 1 << 63),
    st.integers(-(1 << 63), 1 << 63),
)
def test_a_span_of_any_attributes_becomes_an_event_or_nothing(
    attributes: dict[str, object], happened: dict[str, object], start_ns: int, end_ns: int
) -> None:
    span = SpanData(
        name="chat",
        attributes={"gen_ai.operation.name": "chat", **attributes},
        start_ns=start_ns,
        end_ns=end_ns,
        events=[SpanEvent("exception", 0, happened), SpanEvent("gen_ai.choice", 0, happened)],
        resource=happened,
        is_error=True,
    )
    event = event_of(span)
    if event is not None:
        line = orjson.dumps({"service": "svc", **event})
        assert not isinstance(judge_line(line, ALWAYS), Refusal)
