from __future__ import annotations

import gc
import json
import threading
import time
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from tokentide import Telemetry, content
from tokentide.content import texts as content_texts
from tokentide.content.lane import QUEUE_CHARS, ContentLane
from tokentide.content.texts import StreamText, input_texts, output_texts
from tokentide.delivery.log import RareLog
from tokentide.delivery.transport import FrameRejected
from tokentide.settings import Settings
from tokentide.testing import CaptureSender, captured

Event = dict[str, Any]

MESSAGES = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "who?"}, {"type": "image_url"}]},
]
READ = [("system", "be brief"), ("user", "who?")]


def tree(value: Any) -> Any:
    """The same as objects with attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: tree(inner) for name, inner in value.items()})
    return [tree(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("who?", [("user", "who?")]),
        (MESSAGES, READ),
        ({"model": "m", "messages": MESSAGES}, READ),
        ({"input": "who?", "instructions": "be brief"}, READ),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "who?"}]}]},
         READ[1:]),
        ({"system": [{"type": "text", "text": "be brief"}], "messages": MESSAGES[1:]}, READ),
        ({"contents": [{"role": "user", "parts": [{"text": "who?"}]}],
          "config": {"system_instruction": "be brief"}}, READ),
        ({"contents": ["who", "?"]}, [("user", "who"), ("user", "?")]),
        ({"system": [{"text": "be brief"}],
          "messages": [{"role": "user", "content": [{"text": "who?"}]}]}, READ),
        ({"prompt": "who?", "max_tokens": 3}, READ[1:]),
        ({"input": ["a", "b"]}, [("user", "a"), ("user", "b")]),
        ({"inputs": "who?", "agent_id": "a"}, READ[1:]),
        ({"modelId": "m", "body": json.dumps({"messages": MESSAGES, "max_tokens": 3})}, READ),
        ({"modelId": "m", "body": b'{"inputText": "who?"}'}, READ[1:]),
        ({"modelId": "m", "body": b"not JSON"}, []),
        (MESSAGES[0], READ[:1]),
        ({}, []),
        (None, []),
        (b"bytes", []),
        (7, []),
    ],
)  # fmt: skip
def test_the_texts_of_a_call_are_read_by_role(given: Any, read: list[tuple[str, str]]) -> None:
    assert input_texts(given, 1000) == (read, False)


@pytest.mark.parametrize(
    "given",
    [
        {"choices": [{"message": {"role": "assistant", "content": "it is me"}}]},
        {"choices": [{"text": "it is me"}]},
        {"output": [{"type": "reasoning", "content": [{"text": "hm"}]},
                    {"type": "message", "role": "assistant",
                     "content": [{"type": "output_text", "text": "it is me"}]}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "text": "hm"},
                                          {"type": "text", "text": "it is me"},
                                          {"type": "tool_use", "input": {"a": "b"}}]},
        {"candidates": [{"content": {"role": "assistant", "parts": [{"text": "it is me"}]}}]},
        {"output": {"message": {"role": "assistant", "content": [{"text": "it is me"}]}}},
        {"message": {"role": "assistant", "content": [{"type": "text", "text": "it is me"}]}},
        {"outputs": [{"type": "message.output", "content": "it is me"},
                     {"type": "function.call", "arguments": "{}"}]},
        {"generation": "it is me", "stop_reason": "stop"},
        "it is me",
    ],
)  # fmt: skip
def test_the_text_of_a_response_is_read_from_dicts_and_objects(given: Any) -> None:
    for shape in (given, tree(given)):
        assert output_texts(shape, 1000) == ([("assistant", "it is me")], False)


@pytest.mark.parametrize(
    "body",
    [
        {"content": [{"type": "text", "text": "it is me"}]},
        {"output": {"message": {"role": "assistant", "content": [{"text": "it is me"}]}}},
        {"results": [{"outputText": "it is me", "tokenCount": 3}]},
    ],
)
def test_the_text_of_a_body_is_read_when_the_service_has_read_it(body: Any) -> None:
    given = {"ResponseMetadata": {}, "body": json.dumps(body).encode()}
    assert output_texts(given, 1000) == ([("assistant", "it is me")], False)


def test_a_refusal_is_text_of_the_response() -> None:
    given = {"choices": [{"message": {"content": None, "refusal": "no"}}]}
    assert output_texts(given, 9) == ([("assistant", "no")], False)


@pytest.mark.parametrize(
    "chunks",
    [
        [{"choices": []}, {"choices": [{"delta": {"role": "assistant", "content": "it "}}]},
         {"choices": [{"delta": {"content": "is me"}}]}, {"choices": [{"delta": {}}]}],
        [{"type": "response.output_text.delta", "delta": "it "},
         {"type": "response.function_call_arguments.delta", "delta": "{}"},
         {"type": "response.output_text.delta", "delta": "is me"},
         {"type": "response.completed", "response": {"output": [{"content": "it is me"}]}}],
        [{"type": "message_start", "message": {"content": []}},
         {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "it "}},
         {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "is me"}},
         {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}],
        [{"candidates": [{"content": {"parts": [{"text": "it "}]}}]},
         {"candidates": [{"content": {"parts": [{"text": "is me"}]}}]}],
        [{"contentBlockDelta": {"delta": {"text": "it is me"}}}, {"metadata": {}}],
        [{"type": "content-delta", "delta": {"message": {"content": {"text": "it is me"}}}}],
        [{"choices": [{"text": "it is me"}]}],
        [{"data": {"choices": [{"delta": {"content": "it "}}]}},
         {"data": {"choices": [{"delta": {"content": "is me"}}]}}],
        [{"data": {"type": "conversation.response.started", "conversation_id": "c"}},
         {"data": {"type": "message.output.delta", "content": "it is me"}},
         {"data": {"type": "function.call.delta", "arguments": "{}"}}],
        [{"chunk": {"bytes": b'{"delta": {"type": "text_delta", "text": "it is "}}'}},
         {"chunk": {"bytes": b'{"outputText": "me"}'}}, {"chunk": {"bytes": b"not JSON"}}],
        [{"event_type": "stream-start"}, {"event_type": "text-generation", "text": "it is me"},
         {"event_type": "stream-end", "response": {"text": "it is me"}}],
    ],
)  # fmt: skip
def test_the_text_of_a_stream_is_put_together(chunks: list[Any]) -> None:
    for shape in (chunks, tree(chunks)):
        text = StreamText(1000)
        for chunk in shape:
            text.add(chunk)
        assert (text.text, text.is_cut) == ("it is me", False)


def test_texts_are_cut_at_the_limit_and_say_so() -> None:
    assert input_texts(["abc", "def"], 5) == ([("user", "abc"), ("user", "de")], True)
    text = StreamText(5)
    for word in ("abc", "def", "ghi"):
        text.add({"choices": [{"delta": {"content": word}}]})
    assert (text.text, text.is_cut) == ("abcde", True)


def test_hostile_shapes_end_and_raise_nothing() -> None:
    endless: dict[str, Any] = {"role": "user"}
    endless["content"] = [endless, endless]

    class Raising:
        @property
        def content(self) -> str:
            raise RuntimeError

        @property
        def role(self) -> str:
            raise KeyError

    many = [{"role": "user", "content": "x"}] * 100_000
    for given in (
        endless,
        Raising(),
        MagicMock(),
        many,
        {"messages": many},
        [[[[[[[[[["x"]]]]]]]]]],
    ):
        for read in (input_texts, output_texts):
            texts, _is_cut = read(given, 10_000)
            assert len(texts) <= content_texts.MAX_NODES
        StreamText(10).add(given)


# -- what becomes of them -------------------------------------------------------------------------


def call(capture: Any, **texts: object) -> None:
    with capture.telemetry.request(tenant="acme") as recorder:
        recorder.record_usage(input_tokens=1, output_tokens=1)
        recorder.record_content(**texts)


def test_by_default_no_text_is_read_kept_or_sent() -> None:
    with captured(service="s") as capture:
        assert not capture.telemetry.settings.reads_content
        assert capture.telemetry._engine.gate is None
        call(capture, input=MESSAGES, output="PRIVATE")
        event: Event = {"type": "request"}
        content.capture(capture.telemetry.settings, event, input=MESSAGES)
        assert event == {"type": "request"}
        assert "PRIVATE" not in str(capture.events())
        assert capture.content == []
        assert capture.telemetry.stats().content == {}


@pytest.mark.parametrize(
    ("mode", "sides"),
    [("input", ["input"]), ("output", ["output"]), ("all", ["input", "output"])],
)
def test_captured_texts_go_to_their_own_topic_and_never_into_the_event(
    mode: str, sides: list[str]
) -> None:
    with captured(service="s", environment="prod", capture_content=mode) as capture:
        call(capture, input=MESSAGES, output="it is me")
        (event,) = capture.requests
        (record,) = capture.content
    assert "who?" not in str(event)
    assert "it is me" not in str(event)
    assert content.KEY not in event
    assert [side for side in ("input", "output") if side in record] == sides
    for name in ("event_id", "started_at_us", "service", "environment", "tenant"):
        assert record[name] == event[name]
    if mode == "all":
        assert record["input"][1] == {"role": "user", "text": "who?"}
        assert record["output"] == [{"role": "assistant", "text": "it is me"}]
        assert record["truncated"] is False


def test_opentelemetrys_variable_captures_only_when_ours_is_not_set() -> None:
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    for value, mode in [
        ("SPAN_AND_EVENT", "all"), ("span_only", "all"), ("EVENT_ONLY", "all"), ("true", "all"),
        ("NO_CONTENT", "none"), ("false", "none"), ("anything", "none"), ("", "none"),
    ]:  # fmt: skip
        assert Settings.load({}, {name: value}).capture_content == mode
    ours = {"TOKENTIDE_CAPTURE_CONTENT": "none", name: "SPAN_AND_EVENT"}
    assert Settings.load({}, ours).capture_content == "none"


def test_content_is_cut_at_the_setting_and_says_so() -> None:
    with captured(service="s", capture_content="all", content_max_chars=4) as capture:
        call(capture, input="abcdef", output="abc")
        (record,) = capture.content
    assert record["input"] == [{"role": "user", "text": "abcd"}]
    assert record["output"] == [{"role": "assistant", "text": "abc"}]
    assert record["truncated"] is True


def test_the_id_decides_which_calls_are_sampled() -> None:
    with captured(service="s", capture_content="all", content_sample_rate=0.25) as capture:
        for _ in range(200):
            call(capture, input="x")
        sampled = {record["event_id"] for record in capture.content}
        ids = {event["event_id"] for event in capture.requests}
    assert len(ids) == 200
    assert sampled == {name for name in ids if zlib.crc32(name.encode()) < 0.25 * (1 << 32)}
    assert 20 <= len(sampled) <= 80


def test_what_is_read_in_parts_is_one_record_and_later_changes_are_not_seen() -> None:
    with captured(service="s", capture_content="all") as capture:
        messages: list[Any] = [{"role": "user", "content": "who?"}]
        with capture.telemetry.request() as recorder:
            recorder.record_usage(input_tokens=1, output_tokens=1)
            recorder.record_content(input=messages)
            messages.append({"role": "assistant", "content": "later"})
            recorder.record_content(output="it is me")
        (record,) = capture.content
    assert record["input"] == [{"role": "user", "text": "who?"}]
    assert record["output"] == [{"role": "assistant", "text": "it is me"}]


def test_detectors_add_classes_and_counts_to_the_event_and_nothing_else() -> None:
    with captured(service="s", detect="email,card") as capture:
        call(capture, input="ann@example.org +49 171 2345678", output="4111111111111111 b@x.org")
        (event,) = capture.requests
        assert capture.content == []
    assert event["tags"] == {"sensitive.email": "2", "sensitive.card": "1"}
    assert "ann" not in str(event)


def test_tags_of_the_host_stay_beside_the_counts_and_are_not_changed() -> None:
    tags = {f"t{number}": "x" for number in range(32)}
    with captured(service="s", detect="all") as capture:
        capture.telemetry.emit({"type": "request", "tags": tags})
        with capture.telemetry.request(tags=tags) as recorder:
            recorder.record_content(input="ann@example.org")
        last = capture.requests[-1]
    assert last["tags"]["sensitive.email"] == "1"
    assert "sensitive.email" not in tags


def test_the_hook_sees_content_and_what_it_can_not_judge_is_not_sent() -> None:
    def hook(event: Event) -> Event | None:
        if event["type"] != "content":
            return None if event["feature"] == "dropped" else event
        if "bad" in str(event["input"]):
            raise ValueError
        event["input"] = [{"role": "user", "text": "masked"}]
        return event

    with captured(service="s", capture_content="all", redact=hook) as capture:
        for feature, text in [("a", "fine"), ("b", "bad"), ("dropped", "fine")]:
            with capture.telemetry.request(feature=feature) as recorder:
                recorder.record_usage(input_tokens=1, output_tokens=1)
                recorder.record_content(input=text)
        (record,) = capture.content
        stats = capture.telemetry.stats()
        assert [event["feature"] for event in capture.requests] == ["a", "b"]
    assert record["input"] == [{"role": "user", "text": "masked"}]
    assert stats.redact_failures == 1
    assert stats.content["captured"] == 1


def test_an_event_without_an_id_gets_the_one_its_content_refers_to() -> None:
    with captured(service="s", capture_content="all") as capture:
        event: Event = {"type": "request"}
        content.capture(capture.telemetry.settings, event, output="it is me")
        capture.telemetry.emit(event)
        assert capture.requests[0]["event_id"] == capture.content[0]["event_id"]


def test_text_that_utf8_can_not_hold_is_sent_with_the_rest_intact() -> None:
    with captured(service="s", capture_content="all") as capture:
        call(capture, input="a\ud800b")
        assert capture.content[0]["input"] == [{"role": "user", "text": "a?b"}]


# -- the lane -------------------------------------------------------------------------------------


def test_the_memory_that_waiting_content_takes_is_bounded_by_its_length() -> None:
    for chars in (1, 8192, 65_536):
        settings = Settings.load({"content_max_chars": chars, "capture_content": "all"}, {})
        lane = ContentLane(settings, RareLog())
        assert lane.settings.queue_events * 2 * chars <= max(QUEUE_CHARS, 16 * chars)
        assert lane.settings.backlog_bytes <= settings.backlog_bytes / 4
        for _ in range(lane.settings.queue_events + 5):
            lane.put(0, {"type": "content"})
        assert lane.stats()["dropped"] == 5
        assert len(lane.buffer) == lane.settings.queue_events


def test_lines_about_content_say_so_and_hold_back_none_about_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with captured(service="s", capture_content="all") as capture:
        capture.sender.failures = [ConnectionError("no events today")]
        other = capture.sender.for_topic("tokentide.content.v1")
        other.failures = [ConnectionError("no content today")]
        call(capture, input="x")
        assert capture.telemetry.flush(5)
    lines = [record.getMessage() for record in caplog.records]
    about = [line for line in lines if line.startswith("captured content: ")]
    assert [("no content today" in line, "no events today" in line) for line in about] == [
        (True, False)
    ]
    assert any("no events today" in line for line in lines)


def test_content_that_is_refused_changes_nothing_for_events() -> None:
    with captured(service="s", capture_content="all") as capture:
        other = capture.sender.for_topic("tokentide.content.v1")
        other.failures = [FrameRejected("not this one")]
        call(capture, input="x")
        stats = capture.telemetry.stats() if capture.telemetry.flush(5) else None
    assert stats is not None
    assert stats.content["failed"] == 1
    assert (stats.emitted, stats.delivered, stats.failed, stats.retries) == (1, 1, 0, 0)


def test_a_sender_of_the_host_that_knows_no_other_topic_sends_events_only() -> None:
    class OneTopic(CaptureSender):
        for_topic = None  # type: ignore[assignment]

    sender = OneTopic()
    with Telemetry(sender=sender, service="s", capture_content="all") as telemetry:
        with telemetry.request() as recorder:
            recorder.record_usage(input_tokens=1, output_tokens=1)
            recorder.record_content(input="PRIVATE")
        assert telemetry.flush(5)
        assert telemetry.stats().content["failed"] == 1
    assert "PRIVATE" not in str(sender.events)


@pytest.mark.parametrize("is_stuck", [False, True])
def test_a_forgotten_producer_sends_its_content_and_does_not_wait_where_it_can_not(
    is_stuck: bool,
) -> None:
    sender = CaptureSender()
    other = sender.for_topic("tokentide.content.v1")
    other.connect_failures = [ConnectionError("no such topic")] * 1000 if is_stuck else []
    telemetry = Telemetry(sender=sender, service="s", capture_content="all", linger_ms=1)
    with telemetry.request() as recorder:
        recorder.record_usage(input_tokens=1, output_tokens=1)
        recorder.record_content(input="x")
    del telemetry, recorder
    gc.collect()
    deadline_s = time.monotonic() + 10
    while any(thread.name == "tokentide" for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s
        time.sleep(0.002)
    assert len(sender.events) == 1
    assert len(other.events) == (0 if is_stuck else 1)


def test_content_is_not_kept_on_the_disk(tmp_path: Path) -> None:
    settings = Settings.load({"capture_content": "all", "spool_dir": str(tmp_path)}, {})
    assert ContentLane(settings, RareLog()).settings.spool_dir == ""


def test_the_counters_of_content_are_in_the_stats_event() -> None:
    with captured(service="s", capture_content="all") as capture:
        call(capture, input="x")
        capture.telemetry.flush(5)
        capture.telemetry.close()
        tags = capture.sender.events[-1]["tags"]
    assert tags["content.captured"] == "1"
    assert tags["content.delivered"] == "1"
