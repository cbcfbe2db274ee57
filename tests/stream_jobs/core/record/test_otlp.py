"""OTLP records: what becomes an event, what is left out and counted, and what is broken."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.each import each
from tests.otlp_requests import Request, attributes
from tokentide.semconv import SpanData, event_id
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.outcome.outcome import process
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record import contents, split
from tokentide_jobs.core.record.contents import events_in, readable
from tokentide_jobs.core.record.otlp import read_otlp
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.stand_in import read_stand_in
from tokentide_jobs.core.record.topics import is_otlp, log_ids, partition_label
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.dead_letters import Place, StoredDeadLetter, Target, log_of

TOPIC = "tokentide.otlp.v1"
START_NS = 1_790_000_000_000_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"


def chat(**more: object) -> list[dict[str, Any]]:
    return attributes(
        **{
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            **more,
        }
    )


def request(*spans: tuple[str, list[dict[str, Any]], str]) -> Request:
    made = Request(service="search-api", scope="opentelemetry.instrumentation.openai.v1")
    for number, (name, held, parent) in enumerate(spans, 1):
        made.span(name, TRACE, f"{number:016x}", START_NS, held, parent=parent)
    return made


def events(value: bytes) -> list[dict[str, Any]]:
    read = read_otlp(value)
    assert read.fault is None, read.fault
    return [orjson.loads(line) for line in read.lines]


def test_a_span_becomes_an_event_with_its_coordinates() -> None:
    made = request(("chat", chat(), ""))
    made.spans[0]["status"] = {"code": 1}
    [event] = events(made.encode())
    assert event["event_id"] == event_id(
        SpanData(
            name="",
            attributes={},
            start_ns=START_NS,
            end_ns=START_NS,
            trace_id=TRACE,
            span_id=f"{1:016x}",
        )
    )
    assert (event["service"], event["duration_ms"]) == ("search-api", 250.0)
    assert (event["input_tokens"], event["output_tokens"], event["status"]) == (1000, 100, "ok")


def test_spans_of_other_kinds_are_counted_and_leave_no_hole() -> None:
    agent = attributes(**{"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 9})
    made = request(
        ("agent", agent, ""), ("chat", chat(), ""), ("GET", [], ""), ("chat", chat(), "")
    )
    read = read_otlp(made.encode())
    assert len(read.lines) == 2
    assert read.ignored == {"spans": 1, "token_spans": 1}


def test_metrics_and_logs_are_counted() -> None:
    points = {"dataPoints": [{"count": "1"}, {"count": "2"}]}
    metrics = [
        {"name": "gen_ai.client.token.usage", "histogram": points},
        {"name": "gen_ai.client.inference.usage.input_tokens", "sum": points},
        {"name": "gen_ai.client.inference.operation.output_tokens", "histogram": points},
        {"name": "claude_code.token.usage", "sum": points},
        {"name": "codex.turn.token_usage", "histogram": points},
        {"name": "gemini_cli.token.usage", "sum": points},
        {"name": "gen_ai.client.inference.duration", "histogram": points},
        {"name": "gen_ai.client.operation.duration", "histogram": points},
        {"name": "http.server.duration", "gauge": points},
    ]
    read = read_otlp(
        json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()
    )
    assert (read.lines, read.fault) == ([], None)
    assert read.ignored == {"token_metrics": 12, "metrics": 6}
    logs: dict[str, Any] = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}]}]}
    assert read_otlp(json.dumps(logs).encode()).ignored == {"logs": 2}


@pytest.mark.parametrize("empty", [b"{}", b'{"resourceSpans": []}', b'{"resourceSpans": null}'])
def test_an_empty_request_is_a_request(empty: bytes) -> None:
    read = read_otlp(empty)
    assert (read.lines, read.fault, read.ignored) == ([], None, {})
    assert events_in(TOPIC, empty) == []


@each(
    ("value", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"resourceSpans": [', "malformed_json"),
        (b"\n\x9a\x01proto", "malformed_json"),
        (b"\xff\xfe", "not_utf8"),
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b'{"type": "request"}', "not_otlp"),
        (b'{"resourceSpans": {}}', "not_otlp"),
        (b'{"resourceSpans": [1]}', "not_otlp"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": "x"}]}]}', "not_otlp"),
        (b'{"resourceSpans": [{"resource": 3, "scopeSpans": [{}]}]}', "not_otlp"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [7]}]}]}]}', "not_otlp"),
        (b'{}\n{"resourceSpans": []}', "malformed_json"),
    ],
)
def test_a_broken_record_is_one_bad_event_without_its_bytes(value: bytes, reason: str) -> None:
    assert events_in(TOPIC, value) == [value]
    read = readable(TOPIC, [Record(3, 7, 0, value)])
    assert list(read.records) == []
    [dead_letter] = read.dead_letters
    assert dead_letter[:4] == (3, 7, 0, reason)
    # It may hold prompts: only what identifies and locates it is kept.
    assert dead_letter.value == b""
    assert hashlib.sha256(value).hexdigest() in dead_letter.detail
    assert dead_letter.detail.endswith("of which nothing is kept")


def test_protobuf_is_recognised_and_the_remedy_named() -> None:
    fault = read_otlp(b"\n\x05proto").fault
    assert fault is not None
    assert "otlp_json" in fault.detail


def test_lenient_writers_are_understood() -> None:
    """Numbers instead of text, upper-case and base64 ids, names of enumerations, unknown values."""
    made = request(("chat", [], ""))
    [raw] = made.spans
    raw |= {
        "traceId": TRACE.upper(),
        "spanId": "AAAAAAAAAAE=",
        "parentSpanId": "0" * 16,
        "kind": "SPAN_KIND_CLIENT",
        "startTimeUnixNano": START_NS,
        "endTimeUnixNano": START_NS + 1_000_000,
        "status": {"code": "STATUS_CODE_ERROR"},
        "attributes": [
            *chat(),
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 7}},
            {"key": "gen_ai.response.finish_reasons", "value": {"arrayValue": {"values": [
                {"stringValue": "stop"}, {"kvlistValue": {"values": []}}]}}},
            {"key": "x", "value": {"kvlistValue": {"values": []}}},
            {"key": "y", "value": {"bytesValue": "AAA="}},
            {"key": "z", "value": None},
            {"value": {"stringValue": "no key"}},
            {"key": "w", "value": {"intValue": "not a number"}},
        ],
    }  # fmt: skip
    [event] = events(made.encode())
    assert (event["trace_id"], event["span_id"]) == (TRACE, f"{1:016x}")
    assert "parent_span_id" not in event
    assert (event["output_tokens"], event["duration_ms"]) == (7, 1.0)
    assert (event["status"], event["finish_reasons"]) == ("error", ["stop"])


def test_tokens_and_endings_in_the_last_of_many_events_count() -> None:
    named = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
    made = request(("chat", [held for held in chat() if held["key"] in named], ""))
    used = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    choices = [
        {"name": "usage", "attributes": attributes(**used)},
        {"name": "gen_ai.choice", "attributes": attributes(finish_reason="stop")},
    ]
    made.spans[0]["events"] = [{"name": "gen_ai.content.chunk"}] * 200 + choices
    [event] = events(made.encode())
    assert (event["input_tokens"], event["output_tokens"]) == (1000, 100)
    assert event["finish_reasons"] == ["stop"]


def test_a_topic_says_by_its_name_how_it_is_written() -> None:
    assert [is_otlp(name) for name in (TOPIC, "acme-otlp", "ACME.OTLP_spans")] == [True] * 3
    assert not any(is_otlp(name) for name in ("tokentide.events.v1", "otlps", "hotlp.v1"))
    assert (partition_label(TOPIC, 3), partition_label("tokentide.events.v1", 3)) == ("otlp-3", "3")
    plain = [Record(0, 1, 2, b'{"type": "x"}\n{}')]
    assert readable("tokentide.events.v1", plain).records is plain
    assert len(events_in("tokentide.events.v1", plain[0].value)) == 2


def test_a_word_that_begins_one_log_anew_names_no_other_nor_hides_the_topics_own_id() -> None:
    ids = {"events": "E", "otlp": "O"}
    assert log_ids(ids, {}) == log_ids(ids, {"events": "E"}) == log_ids(ids, {"events": ""}) == ids
    again = Settings(events_topic="events", otlp_topic="otlp", log_id="two").restarted_logs
    assert log_ids(ids, again) == {"events": "E+two", "otlp": "O"}
    assert log_ids({"events": "E2", "otlp": "O"}, again) == {"events": "E2+two", "otlp": "O"}
    other = Settings(events_topic="events", otlp_topic="otlp", otlp_log_id="two").restarted_logs
    assert log_ids(ids, other) == {"events": "E", "otlp": "O+two"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"TOKENTIDE_OTLP_TOPIC": "spans"}, "TOKENTIDE_OTLP_TOPIC is 'spans'"),
        ({"TOKENTIDE_EVENTS_TOPIC": "acme.otlp"}, "TOKENTIDE_EVENTS_TOPIC is 'acme.otlp'"),
    ],
)
def test_a_topic_whose_name_would_mislead_is_refused(given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Settings.from_env(given, data_dir="/nonexistent")


def test_the_topic_of_collectors_can_be_left_unread() -> None:
    off = Settings.from_env({"TOKENTIDE_OTLP_TOPIC": "off"}, data_dir="/nonexistent")
    assert off.topics == ("tokentide.events.v1",)
    assert Settings.from_env({}, data_dir="/nonexistent").topics[1] == TOPIC


def dead_letter(topic: str, event_id: str) -> StoredDeadLetter:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    place = Place("old-log", topic, 2, 7, 0)
    texts = ("request", event_id, "", "svc", "")
    return StoredDeadLetter(place, "not_otlp", "", "", b"x", at, at, *texts, "open")


def test_a_record_that_was_not_read_is_replayed_into_its_own_topic() -> None:
    target = Target("kafka:9092", "tokentide.events.v1", "now")
    assert log_of(dead_letter(TOPIC, ""), target) == ("old-log", TOPIC)
    assert log_of(dead_letter(TOPIC, "an id"), target) == ("now", "tokentide.events.v1")
    assert log_of(dead_letter("old.events", ""), target) == ("now", "tokentide.events.v1")


@pytest.fixture(scope="module")
def cards() -> CardTable:
    return compile_cards()


def test_a_batch_is_the_same_rows_in_every_process(cards: CardTable) -> None:
    good = request(("chat", chat(), ""), ("GET", [], ""), ("chat", chat(), ""))
    late = request(("chat", chat(), ""))
    late.spans[0] |= {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    records = [
        Record(2, 10, 5, good.encode()),
        Record(2, 11, 5, b'{"resourceMetrics": []}'),
        Record(2, 12, 5, b"broken"),
        Record(2, 13, 5, late.encode()),
    ]
    intent = Intent(
        log=LogPartition("log", TOPIC, 2),
        start=10,
        end=14,
        price_version=cards.price_version,
        accepted_from_us=START_NS // 1000 - 1,
        accepted_until_us=START_NS // 1000 + 1,
        sealed_at_us=START_NS // 1000,
        worker="w",
    )
    one, again = process(records, intent, cards), process(records, intent, cards)
    rows = one.raw["raw_requests"]
    assert rows.equals(again.raw["raw_requests"])
    assert rows.select("_offset", "_idx").rows() == [(10, 0), (10, 1)]
    assert rows["_topic"].unique().to_list() == [TOPIC]
    # 1,000 input tokens at $0.15 and 100 output tokens at $0.60 a million, twice.
    assert one.cost_pico_usd() == 2 * (1000 * 150_000 + 100 * 600_000)
    dead_letters = one.dead_letters.select("_offset", "_idx", "reason").rows()
    assert dead_letters == [(12, 0, "malformed_json"), (13, 0, "too_old")]
    assert one.dead_letters["value"].to_list() == [b"", events_in(TOPIC, late.encode())[0]]
    assert one.ignored == {"spans": 1}
    assert one.events + one.dead_letter_count == sum(
        len(events_in(TOPIC, record.value)) for record in records
    )


def test_a_batch_without_any_event_is_a_batch(cards: CardTable) -> None:
    intent = Intent(
        log=LogPartition("log", TOPIC, 0),
        start=0,
        end=1,
        price_version=cards.price_version,
        accepted_from_us=0,
        accepted_until_us=1,
        sealed_at_us=1,
        worker="w",
    )
    outcome = process([Record(0, 0, 5, b"{}")], intent, cards)
    assert (outcome.events, outcome.dead_letter_count, outcome.raw) == (0, 0, {})
    assert outcome.fold().height == 0
    assert outcome.started_range_us() == (0, 0)


@pytest.mark.parametrize(
    ("broken", "read_as", "texts"),
    [
        (b"\\ud800", "\ufffd", 1),
        (b"a\xffb", "a\ufffdb", 1),
        (b"\xed\xa0\xbd\xed\xb8\x80", "😀", 0),
    ],
)
def test_a_text_that_cannot_be_encoded_costs_itself_and_none_of_the_other_spans(
    broken: bytes, read_as: str, texts: int
) -> None:
    made = request(*(("chat", chat(**{"tokentide.tenant": f"t{n}"}), "") for n in range(5)))
    value = made.encode().replace(b'"t2"', b'"' + broken + b'"')
    read = read_otlp(value)
    assert [event["tenant"] for event in events(value)] == ["t0", "t1", read_as, "t3", "t4"]
    assert read.replaced_texts == texts
    assert len(events_in(TOPIC, value)) == 5
    assert readable(TOPIC, [Record(0, 0, 0, value)]).replaced_texts == texts


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999"])
def test_what_no_number_can_be_is_tolerated_in_an_attribute_that_is_not_read(number: bytes) -> None:
    made = request(("chat", chat(odd=0.5), ""), ("chat", chat(), ""))
    value = made.encode().replace(b"0.5", number)
    assert len(events(value)) == 2


def test_a_byte_order_mark_is_read_over() -> None:
    assert len(events(b"\xef\xbb\xbf" + request(("chat", chat(), "")).encode())) == 1


def test_a_record_that_is_too_long_is_one_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    made = request(*(("chat", chat(), "") for _ in range(20))).encode()
    for module in (contents, split):
        monkeypatch.setattr(module, "MAX_RECORD_BYTES", len(made) - 1)
    [stand_in] = events_in(TOPIC, made)
    found = read_stand_in(stand_in)
    assert found is not None
    assert found[0].reason == "too_large"
    assert events_in(TOPIC, stand_in) == [stand_in]
    for value in (made, stand_in):
        read = readable(TOPIC, [Record(0, 0, 0, value)])
        [dead_letter] = read.dead_letters
        assert (list(read.records), dead_letter.reason, dead_letter.value) == ([], "too_large", b"")
        assert dead_letter.detail.endswith("of which nothing is kept")
