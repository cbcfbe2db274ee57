"""The background thread of a producer: started once, and again if it must be."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.producers.test_telemetry import StuckSender, until
from tests.producers.untraced_threads import without_coverage_in_new_threads
from tokentide import Telemetry, assembly
from tokentide.testing import CaptureSender


def background_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "tokentide"}


def test_no_thread_is_started_before_the_first_event() -> None:
    before = threading.active_count()
    telemetry = Telemetry(sender=CaptureSender())
    assert threading.active_count() == before
    telemetry.emit({"type": "request"})
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "tokentide"]
    telemetry.close(5)


def test_a_producer_closed_while_its_thread_begins_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_closed, make = threading.Event(), assembly.event_dispatcher

    def make_late(*args: Any, **given: Any) -> Any:
        assert is_closed.wait(10)
        return make(*args, **given)

    monkeypatch.setattr(assembly, "event_dispatcher", make_late)
    telemetry = Telemetry(sender=StuckSender())
    telemetry.emit({"type": "request"})
    telemetry.close(0.01)
    is_closed.set()
    until(lambda: not background_threads())
    assert telemetry.stats().dropped == {"closed": 1}


def test_many_threads_that_emit_first_start_one_thread() -> None:
    before = background_threads()
    telemetry = Telemetry(sender=CaptureSender())
    # Every wait has an end, and a thread that hangs keeps neither this test nor pytest.
    barrier = threading.Barrier(16)
    emitted = threading.Semaphore(0)

    def work() -> None:
        barrier.wait(60)
        telemetry.emit({"type": "request"})
        emitted.release()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(16)]
    with without_coverage_in_new_threads():
        for thread in threads:
            thread.start()
        until_s = time.monotonic() + 60
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
    assert [emitted.acquire(blocking=False) for _ in threads] == [True] * 16, "emit hangs"
    assert len(background_threads() - before) == 1
    telemetry.close(5)
    assert telemetry.stats().delivered == 17


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_a_tracer_ends_before_it_runs_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tokentide.engine.START_RETRY_NS", 0)
    telemetry = Telemetry(sender=CaptureSender())

    def refuse(*_frame: object) -> None:
        raise RuntimeError("Cannot install a trace function")

    hook = threading.gettrace()
    threading.settrace(refuse)
    try:
        telemetry.emit({"type": "request"})
        until(lambda: not background_threads())
    finally:
        threading.settrace(cast("Any", hook))
    telemetry.emit({"type": "request"})
    assert [m for m in caplog.messages if "ended before it ran" in m]
    until(lambda: telemetry.flush(5))
    telemetry.close(5)
    assert telemetry.stats().delivered == 3
    assert telemetry.stats().retries == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("ends", ["before the wait", "while it lasts"])
@pytest.mark.parametrize("wait", [Telemetry.flush, Telemetry.close])
def test_a_wait_for_a_thread_that_ended_before_it_ran_starts_another(
    wait: Callable[[Telemetry, float], object], ends: str
) -> None:
    telemetry = Telemetry(sender=CaptureSender())
    may_end = threading.Event()

    def refuse(*_frame: object) -> None:
        threading.settrace(cast("Any", hook))
        may_end.wait(10)
        raise RuntimeError("Cannot install a trace function")

    hook = threading.gettrace()
    threading.settrace(refuse)
    try:
        telemetry.emit({"type": "request"})
    finally:
        threading.settrace(cast("Any", hook))
    if ends == "before the wait":
        may_end.set()
        until(lambda: not background_threads())
    else:
        threading.Timer(0.1, may_end.set).start()
    wait(telemetry, 30)
    stats = telemetry.stats()
    assert (stats.queued, stats.dropped) == (0, {})
    assert stats.delivered >= 1
    telemetry.close(5)


def test_failing_to_start_the_thread_is_survived_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tokentide.engine.START_RETRY_NS", 0)
    sender = CaptureSender()
    telemetry = Telemetry(sender=sender, queue_events=5)

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        for _ in range(8):
            telemetry.emit({"type": "request"})
        assert telemetry.flush(0.05) is False
        stats = telemetry.stats()
        assert (stats.queued, stats.dropped) == (5, {"queue_full": 3})
        assert "can't start new thread" in stats.last_error
    assert len([m for m in caplog.messages if "could not be started" in m]) == 1
    telemetry.emit({"type": "request"})
    assert telemetry.flush(5)
    assert telemetry.stats().delivered == 5
    telemetry.close(5)


def test_a_forgotten_producer_delivers_and_ends_its_thread() -> None:
    before = background_threads()
    sender = CaptureSender()
    Telemetry(sender=sender, linger_ms=1).emit({"type": "request"})
    gc.collect()
    until(lambda: len(sender.events) == 1)
    until(lambda: not background_threads() - before)
