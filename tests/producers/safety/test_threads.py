"""Threads, signals and event loops of the host, in the states that have hung other SDKs."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.producers.sdk_script import Script
from tokentide import Telemetry
from tokentide.testing import CaptureSender, captured


def test_event_loops_of_the_host_come_and_go() -> None:
    with captured(checks_contract=False, linger_ms=1) as capture:

        async def work(n: int) -> None:
            async with capture.telemetry.request(tenant="loop") as call:
                call.set(choices=n)
                await asyncio.sleep(0)

        for n in range(5):
            asyncio.run(work(n))  # a loop of its own, closed behind it
            capture.telemetry.emit({"type": "request", "tenant": "between"})
        loop = asyncio.new_event_loop()
        loop.run_until_complete(work(5))
        loop.close()
        assert [e["tenant"] for e in capture.requests].count("loop") == 6
        assert [e["tenant"] for e in capture.requests].count("between") == 5


def test_a_closed_loop_of_the_host_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Any:
        raise RuntimeError("Event loop is closed")

    # What libraries ask for: the thread of ours must need none of it.
    for name in ("get_event_loop", "new_event_loop", "set_event_loop"):
        monkeypatch.setattr(asyncio, name, refuse)
        monkeypatch.setattr(asyncio.events, name, refuse)
    with captured(checks_contract=False, linger_ms=1) as capture:
        capture.telemetry.emit({"type": "request"})
        assert len(capture.requests) == 1


async def test_flushing_from_a_coroutine_leaves_the_loop_running() -> None:
    with captured(checks_contract=False, linger_ms=1) as capture:
        capture.telemetry.emit({"type": "request"})
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        assert await asyncio.to_thread(capture.telemetry.flush, 10)
        ticking.cancel()
        assert turns > 0


@pytest.mark.integration
def test_a_system_that_gives_no_threads_loses_what_it_must_and_raises_nothing(
    tmp_path: Path,
) -> None:
    stderr = Script(tmp_path).run(
        """
        tokentide.engine.START_RETRY_NS = 0
        threading.stack_size(1 << 46)  # more address space than there is
        try:
            threading.Thread(target=print).start()
        except RuntimeError as exc:
            assert "can't start new thread" in str(exc)
        else:
            raise SystemExit("threads can be started after all")
        emit("early")
        assert telemetry.flush(0.2) is False
        stats = telemetry.stats()
        assert stats.queued == 100, stats
        threading.stack_size(0)
        emit("late")
        assert telemetry.flush(20)
        """
    )
    assert stderr.count("could not be started") == 1
    found = Script(tmp_path).numbers_by_tenant()
    assert found == {"early": list(range(100)), "late": list(range(100))}


@pytest.fixture
def interrupting() -> Iterator[Any]:
    before = signal.getsignal(signal.SIGALRM)
    yield lambda handler: signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_may_emit_in_the_middle_of_emit(interrupting: Any) -> None:
    with captured(checks_contract=False, linger_ms=1, queue_events=1_000_000) as capture:
        emit = capture.telemetry.emit
        handled = 0

        def handle(*_: object) -> None:
            nonlocal handled
            handled += 1
            emit({"type": "request", "tenant": "signal"})

        interrupting(handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        emitted = 0
        while handled < 200:
            emit({"type": "request", "tenant": "main"})
            emitted += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        tenants = [event["tenant"] for event in capture.requests]
        assert tenants.count("signal") == handled
        assert tenants.count("main") == emitted


def test_a_log_handler_that_emits_does_not_go_round_in_circles() -> None:
    sender = CaptureSender()
    sender.connect_failures = [OSError("refused")] * 2
    telemetry = Telemetry(sender=sender, linger_ms=1)

    class Emitting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            telemetry.emit({"type": "request", "tenant": "logged"})

    handler = Emitting()
    logging.getLogger("tokentide").addHandler(handler)
    try:
        telemetry.emit({"type": "request", "tenant": "first"})
        assert telemetry.flush(20)
    finally:
        logging.getLogger("tokentide").removeHandler(handler)
        telemetry.close(5)
    tenants = [event.get("tenant") for event in sender.events]
    assert tenants.count("first") == 1
    assert tenants.count("logged") == 1, "one line of a kind a minute, so one event"


def test_an_object_that_emits_while_it_is_collected_does_not_deadlock() -> None:
    with captured(checks_contract=False, linger_ms=1) as capture:

        class Emits:
            def __del__(self) -> None:
                capture.telemetry.emit({"type": "request", "tenant": "collected"})

        def work() -> None:
            for _ in range(500):
                cycle: list[object] = [Emits()]
                cycle.append(cycle)
                capture.telemetry.emit({"type": "request", "tenant": "main", "keeps": "cycle"})

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        import gc

        gc.collect()
        tenants = [event["tenant"] for event in capture.requests]
        assert (tenants.count("main"), tenants.count("collected")) == (2000, 2000)
