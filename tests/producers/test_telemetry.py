"""The producer as a host sees it: emit, flush, close, counters, and an outage."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

import tokentide
from tests.each import each
from tests.producers.untraced_threads import without_coverage_in_new_threads
from tokentide import Telemetry
from tokentide.delivery.framing import Frame
from tokentide.testing import CaptureSender, captured
from tokentide_schemas import EVENT_ADAPTER

TARGET = "01a20545-087c-700e-abd3-436044333a2a"


class StuckSender(CaptureSender):
    """A broker that accepts connections and never answers."""

    async def send(self, frames: Sequence[Frame]) -> None:
        await asyncio.sleep(3600)


def until(is_true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def test_the_public_surface_is_what_is_documented() -> None:
    assert tokentide.__all__ == [
        "ProducerStats",
        "Recorder",
        "Settings",
        "SettingsError",
        "Telemetry",
        "__version__",
        "context",
        "current_request",
        "current_run_state",
        "instrument",
        "instrument_client",
        "last_event_id",
        "uninstrument",
    ]
    assert all(hasattr(tokentide, name) for name in tokentide.__all__)


@pytest.mark.integration
def test_importing_the_sdk_imports_nothing_heavy() -> None:
    script = (
        "import sys; before = set(sys.modules); import tokentide;"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "extra = tops - set(sys.stdlib_module_names) - {'tokentide', 'orjson'};"
        "assert not extra, extra;"
        "heavy = {'asyncio', 'aiokafka', 'pydantic', 'cramjam', 'ssl'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "tokentide.Telemetry(); assert 'aiokafka' not in sys.modules"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True, timeout=60)


def test_every_kind_of_event_follows_the_contract() -> None:
    with captured(service="s", environment="prod", tenant="t", team="x") as capture:
        telemetry = capture.telemetry
        with telemetry.request(provider="openai", request_model="gpt-5") as call:
            pass
        telemetry.evaluation(
            "faithful", score=0.5, target_event_id=call.event_id, evaluator="judge", passed=True
        )
        telemetry.feedback("thumb", label="up", target_event_id=call.event_id, comment="nice")
        telemetry.change("prompt", "answer", from_version="v1", to_version="v2", actor="ci")
        telemetry.emit({"type": "feedback", "name": "n", "response_id": "r"})
    events = capture.sender.events
    assert [event["type"] for event in events] == [
        "request",
        "evaluation",
        "feedback",
        "change",
        "feedback",
        "stats",
    ]
    for event in events:
        EVENT_ADAPTER.validate_python(event)
        assert (event["service"], event["environment"]) == ("s", "prod")
        assert (event["tenant"], event["team"], event["sdk_name"]) == ("t", "x", "tokentide")
    assert [event["seq"] for event in events] == list(range(6))


def test_defaults_make_a_valid_event() -> None:
    with captured() as capture:
        with capture.telemetry.request():
            pass
        EVENT_ADAPTER.validate_python(capture.requests[0])


def test_the_books_balance_and_travel_in_the_last_stats_event() -> None:
    with captured(checks_contract=False, queue_events=10, linger_ms=10_000) as capture:
        for _ in range(25):
            capture.telemetry.emit({"type": "request"})
        capture.telemetry.emit(["not", "a", "mapping"])  # type: ignore[arg-type]
    capture.telemetry.emit({"type": "request"})
    stats = capture.telemetry.stats()
    # How many the thread took while the others were emitted is up to the scheduler.
    full = stats.dropped["queue_full"]
    assert 0 < full <= 15
    assert stats.dropped == {"queue_full": full, "invalid": 1, "after_close": 1}
    assert stats.emitted == stats.delivered + stats.failed + stats.dropped_total + stats.queued
    assert (stats.emitted, stats.delivered, stats.queued) == (28, 26 - full, 0)
    last = capture.sender.events[-1]
    assert last["type"] == "stats"
    assert (last["emitted"], last["delivered"], last["dropped"]) == (26, 25 - full, full + 1)
    assert last["tags"]["dropped.queue_full"] == str(full)
    assert last["producer_id"] == stats.producer_id


def test_stats_events_are_sent_while_running() -> None:
    with captured(checks_contract=False, stats_interval_s=0.1, linger_ms=5) as capture:
        capture.telemetry.emit({"type": "request"})
        until(lambda: len([e for e in capture.sender.events if e["type"] == "stats"]) >= 2)


def test_a_full_queue_is_counted_exactly_under_threads() -> None:
    telemetry = Telemetry(sender=StuckSender(), queue_events=1000, backlog_bytes=1024)
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait(60)
        for _ in range(5000):
            telemetry.emit({"type": "request"})

    threads = [threading.Thread(target=work) for _ in range(8)]
    with without_coverage_in_new_threads():
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    until(lambda: telemetry.stats().queued + telemetry.stats().dropped_total == 40_000)
    stats = telemetry.stats()
    assert stats.emitted == 40_000
    assert stats.dropped["queue_full"] >= 30_000
    telemetry.close(0.1)
    closed = telemetry.stats()
    assert closed.emitted == closed.delivered + closed.dropped_total
    assert closed.queued == 0


def test_emit_does_not_wait_for_a_broker_that_never_answers() -> None:
    telemetry = Telemetry(sender=StuckSender(), queue_events=100)
    started_s = time.monotonic()
    for _ in range(20_000):
        telemetry.emit({"type": "request"})
    assert time.monotonic() - started_s < 5
    telemetry.close(0.0)


def test_flush_and_close_return_at_their_deadline(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry(sender=StuckSender(), bootstrap="kafka:9092")
    for _ in range(7):
        telemetry.emit({"type": "request"})
    started_s = time.monotonic()
    assert telemetry.flush(0.2) is False
    telemetry.close(0.2)
    assert time.monotonic() - started_s < 2
    assert telemetry.stats().dropped == {"closed": 7}
    (line,) = [message for message in caplog.messages if "not delivered" in message]
    assert "7 of 7 events not delivered to kafka:9092" in line


def test_flush_before_any_event_and_after_the_end_is_true_at_once() -> None:
    telemetry = Telemetry(sender=CaptureSender())
    assert telemetry.flush(0.0)
    telemetry.emit({"type": "request"})
    telemetry.close(5)
    telemetry.close(5)
    assert telemetry.flush(0.0)
    assert telemetry.stats().delivered == 2


def test_flush_delivers_at_once_instead_of_waiting_for_the_linger() -> None:
    with captured(checks_contract=False, linger_ms=10_000) as capture:
        capture.telemetry.emit({"type": "request"})
        started_s = time.monotonic()
        assert capture.telemetry.flush(5)
        assert time.monotonic() - started_s < 2


def test_a_disabled_producer_does_nothing() -> None:
    sender = CaptureSender()
    with Telemetry(sender=sender, disabled=True) as telemetry:
        threads = threading.active_count()
        telemetry.emit({"type": "request"})
        telemetry.change("deploy", "x")
        telemetry.feedback("x")
        with telemetry.request() as call:
            call.record_usage(input_tokens=1)
        assert threading.active_count() == threads
        assert telemetry.flush(0.0)
    assert sender.frames == []
    assert telemetry.stats().emitted == 0


def test_a_thread_that_dies_is_counted_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokentide.engine.START_RETRY_NS", 0)
    monkeypatch.setattr(
        "tokentide.delivery.dispatcher.Dispatcher.collect",
        lambda self: (_ for _ in ()).throw(SystemExit),
    )
    telemetry = Telemetry(sender=CaptureSender(), linger_ms=1)
    telemetry.emit({"type": "request"})
    until(lambda: "SystemExit" in telemetry.stats().last_error)
    assert telemetry.flush(0.1) is False
    monkeypatch.undo()
    until(lambda: telemetry.flush(0.2))
    telemetry.close(5)
    assert telemetry.stats().queued == 0
    assert telemetry.stats().emitted == telemetry.stats().delivered


class Exploding(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        raise RuntimeError("boom")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("boom")

    def __len__(self) -> int:
        raise RuntimeError("boom")


@each("event", [None, 5, "text", b"x", [], object(), Exploding()], ids=type)
def test_whatever_is_emitted_nothing_is_raised(event: Any) -> None:
    with captured(checks_contract=False) as capture:
        capture.telemetry.emit(event)
        assert capture.telemetry.stats().dropped == {"invalid": 1}


def test_other_mappings_are_events_too() -> None:
    from types import MappingProxyType

    with captured(checks_contract=False) as capture:
        capture.telemetry.emit(MappingProxyType({"type": "request", "tenant": "t"}))
        assert capture.requests[0]["tenant"] == "t"


def test_the_caller_may_go_on_using_its_dict() -> None:
    with captured(checks_contract=False, linger_ms=10_000) as capture:
        event: dict[str, object] = {"type": "request", "tenant": "before"}
        capture.telemetry.emit(event)
        event["tenant"] = "after"
        assert capture.requests[0]["tenant"] == "before"


def test_an_internal_error_is_counted_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with captured() as capture:
        with monkeypatch.context() as patched:
            patched.setattr("tokentide.producer.time_ns", lambda: 1 / 0)
            capture.telemetry.emit({"type": "request"})
        assert capture.telemetry.stats().dropped == {"internal": 1}


def test_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    sender = CaptureSender()
    sender.connect_failures = [OSError("refused")] * 2
    with caplog.at_level(logging.DEBUG), Telemetry(sender=sender, bootstrap="k:1") as telemetry:
        telemetry.emit({"type": "request"})
        assert telemetry.flush(10)
        assert telemetry.stats().retries == 2
    lines = [message for message in caplog.messages if "retried" in message]
    assert len(lines) == 1
    assert "k:1" in lines[0]
    assert "refused" in lines[0]
