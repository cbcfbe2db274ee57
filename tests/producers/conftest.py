"""Fixtures of the producer's tests: its threads end with the test, its events keep the contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest

import tokentide
from tokentide.testing import Capture, captured
from tokentide_jobs.embedded.kafka.broker import Broker, BrokerKind
from tokentide_jobs.embedded.kafka.choice import choose_broker


@pytest.fixture(autouse=True)
def end_of_threads() -> Iterator[None]:
    """Wait for the background threads that a test has started: the next one may count its own."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("tokentide"):
            thread.join(5)
            assert not thread.is_alive(), f"{thread.name} outlives the test: close its producer"


@pytest.fixture
def emitted() -> Iterator[Capture]:
    """Capture what a producer sends; every event that leaves must keep the contract."""
    with captured(service="s", linger_ms=1) as capture:
        yield capture


@pytest.fixture
def capture(emitted: Capture) -> Iterator[Capture]:
    """Instruments what is imported, and captures what it sends."""
    tokentide.instrument(telemetry=emitted.telemetry)
    yield emitted
    tokentide.uninstrument()


@pytest.fixture(scope="session", params=["tansu", "kafka"])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """One broker of each kind for all tests of a session that ask for one."""
    kind = cast("BrokerKind", request.param)
    broker = choose_broker(kind, tmp_path_factory.mktemp(kind))
    broker.start()
    yield broker
    broker.stop()
