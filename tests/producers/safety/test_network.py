"""Networks that hang: the caller of `emit` goes on, and so does the handling of its events."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tokentide
from tests.producers.test_telemetry import until
from tokentide import Telemetry
from tokentide.telemetry import producer_of


@contextmanager
def silent_broker() -> Iterator[str]:
    """Address of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for connection in accepted:
                connection.close()


async def emit_beside_a_ticking_loop(telemetry: Telemetry, count: int) -> int:
    """Emit from a coroutine; return how often another one had its turn meanwhile."""
    ticks = 0
    is_done = False

    async def tick() -> None:
        nonlocal ticks
        while not is_done:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    for _ in range(count):
        telemetry.emit({"type": "request"})
        await asyncio.sleep(0)
    is_done = True
    await ticking
    return ticks


async def test_a_broker_that_accepts_and_never_answers_blocks_no_caller() -> None:
    with silent_broker() as address:
        telemetry = Telemetry(bootstrap=address, queue_events=500, backlog_bytes=2048)
        # Neither the loop nor `emit` waits: the other coroutine has its turn at every event.
        assert await emit_beside_a_ticking_loop(telemetry, 3000) >= 3000
        assert await asyncio.to_thread(telemetry.flush, 0.05) is False
        await asyncio.to_thread(telemetry.close, 0.05)
        stats = telemetry.stats()
        assert stats.emitted == stats.dropped_total == 3000
        assert stats.dropped["queue_full"] > 0


async def test_a_broker_that_is_down_blocks_no_caller() -> None:
    telemetry = Telemetry(bootstrap="127.0.0.1:1", queue_events=500, backlog_bytes=2048)
    assert await emit_beside_a_ticking_loop(telemetry, 3000) >= 3000
    await asyncio.to_thread(telemetry.close, 0.05)
    assert telemetry.stats().emitted == telemetry.stats().dropped_total == 3000


class NameServer:
    """Stands in for the resolver: hangs until it is set to answer or to fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.released = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        assert self.released.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    yield server
    server.released.set()


def test_a_name_server_that_hangs_keeps_nothing_from_being_collected(
    name_server: NameServer,
) -> None:
    telemetry = Telemetry(bootstrap="kafka.invalid:9092", queue_events=100, linger_ms=1)
    for _ in range(20):
        for _ in range(100):
            telemetry.emit({"type": "request"})
        # The queue is emptied although the connection waits for the name.
        until(lambda: len(producer_of(telemetry).engine.buffer) == 0)
    until(lambda: name_server.asked == 1)
    stats = telemetry.stats()
    assert (stats.queued, stats.dropped_total) == (2000, 0)
    telemetry.close(0.05)
    assert telemetry.stats().dropped == {"closed": 2000}
    assert name_server.asked == 1, "attempts that follow wait for the same answer"


def test_a_name_that_does_not_exist_is_logged_and_tried_again(name_server: NameServer) -> None:
    name_server.released.set()
    telemetry = Telemetry(bootstrap="kafka.invalid:9092", linger_ms=1)
    telemetry.emit({"type": "request"})
    until(lambda: telemetry.stats().retries >= 2)
    assert "kafka.invalid" in telemetry.stats().last_error
    assert telemetry.stats().queued == 1
    telemetry.close(0.0)


def test_with_no_thread_left_for_a_name_it_is_looked_up_all_the_same(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("tokentide.delivery.runner.start_thread", fail)
    name_server.released.set()
    telemetry = Telemetry(bootstrap="kafka.invalid:9092", linger_ms=1)
    telemetry.emit({"type": "request"})
    until(lambda: name_server.asked > 0)
    telemetry.close(0.0)


def test_making_a_producer_touches_no_network_and_starts_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("no network here")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    before = threading.active_count()
    telemetry = tokentide.Telemetry(bootstrap="kafka.invalid:9092")
    tokentide.instrument(telemetry=telemetry)
    tokentide.uninstrument()
    telemetry.request()
    assert threading.active_count() == before
