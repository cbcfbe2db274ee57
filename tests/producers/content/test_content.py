"""Captured prompts and responses: what is kept, redacted, bounded and sent beside the event."""

from __future__ import annotations

import gc
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.producers.content.test_texts import MESSAGES
from tokentide import Telemetry, content
from tokentide.content import pending
from tokentide.content.channel import QUEUE_CHARS, ContentChannel
from tokentide.delivery.transport import FrameRejected
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings
from tokentide.telemetry import producer_of
from tokentide.testing import CaptureSender, captured

Event = dict[str, Any]


def call(capture: Any, **texts: object) -> None:
    with capture.telemetry.request(tenant="acme") as recorder:
        recorder.record_usage(input_tokens=1, output_tokens=1)
        recorder.record_content(**texts)


def test_by_default_no_text_is_read_kept_or_sent() -> None:
    with captured(service="s") as capture:
        assert not capture.telemetry.settings.reads_content
        assert not producer_of(capture.telemetry).has_gate
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
    mode: Any, sides: list[str]
) -> None:
    with captured(service="s", environment="prod", capture_content=mode) as capture:
        call(capture, input=MESSAGES, output="it is me")
        (event,) = capture.requests
        (record,) = capture.content
    assert "who?" not in str(event)
    assert "it is me" not in str(event)
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
    with captured(checks_contract=False, service="s", detect="all") as capture:
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
    with captured(checks_contract=False, service="s", capture_content="all") as capture:
        event: Event = {"type": "request"}
        content.capture(capture.telemetry.settings, event, output="it is me")
        capture.telemetry.emit(event)
        assert capture.requests[0]["event_id"] == capture.content[0]["event_id"]


def test_the_texts_of_an_event_that_the_host_builds_wait_beside_it() -> None:
    with captured(checks_contract=False, service="s", capture_content="all") as capture:
        event: Event = {"type": "request", "event_id": "01a205ed-0000-7000-8000-000000000000"}
        before = dict(event)
        content.capture(capture.telemetry.settings, event, input="PRIVATE")
        content.capture(capture.telemetry.settings, event, output="it is me")
        assert event == before
        capture.telemetry.emit(event)
        capture.telemetry.emit(event)
        (record,) = capture.content
    assert record["event_id"] == event["event_id"]
    assert (record["input"][0]["text"], record["output"][0]["text"]) == ("PRIVATE", "it is me")


def test_texts_of_events_that_are_never_emitted_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING", 2)
    with captured(checks_contract=False, service="s", capture_content="all") as capture:
        events: list[Event] = [{"type": "request", "n": n} for n in range(4)]
        for event in events:
            content.capture(capture.telemetry.settings, event, input="x")
        for event in events:
            capture.telemetry.emit(event)
        kept = {record["event_id"] for record in capture.content}
    assert kept == {event["event_id"] for event in events[2:]}


def test_text_that_utf8_can_not_hold_is_sent_with_the_rest_intact() -> None:
    with captured(service="s", capture_content="all") as capture:
        call(capture, input="a\ud800b")
        assert capture.content[0]["input"] == [{"role": "user", "text": "a?b"}]


# -- the lane -------------------------------------------------------------------------------------


def test_the_memory_that_waiting_content_takes_is_bounded_by_its_length() -> None:
    for chars in (1, 8192, 65_536):
        settings = Settings.load({"content_max_chars": chars, "capture_content": "all"}, {})
        lane = ContentChannel(settings, RateLimitedLog())
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
    assert ContentChannel(settings, RateLimitedLog()).settings.spool_dir == ""


def test_the_counters_of_content_are_in_the_stats_event() -> None:
    with captured(service="s", capture_content="all") as capture:
        call(capture, input="x")
        capture.telemetry.flush(5)
        capture.telemetry.close()
        tags = capture.sender.events[-1]["tags"]
    assert tags["content.captured"] == "1"
    assert tags["content.delivered"] == "1"
