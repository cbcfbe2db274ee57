"""Fixtures of tests that instrument real clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokentide
from tokentide.testing import Capture, captured
from tokentide_schemas import EVENT_ADAPTER


@pytest.fixture
def emitted() -> Iterator[Capture]:
    """Captures what a producer sends; every event that leaves must keep the contract."""
    with captured(service="s", linger_ms=1) as capture:
        yield capture
        for event in capture.events():
            EVENT_ADAPTER.validate_python(event)


@pytest.fixture
def capture(emitted: Capture) -> Iterator[Capture]:
    """Instruments what is imported, and captures what it sends."""
    tokentide.instrument(telemetry=emitted.telemetry)
    yield emitted
    tokentide.uninstrument()
