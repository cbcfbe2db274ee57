"""Fixtures of tests that instrument real clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokentide
from tokentide.testing import Capture, captured
from tokentide_schemas import EVENT_ADAPTER


@pytest.fixture
def capture() -> Iterator[Capture]:
    """Instruments what is imported; every event that leaves must keep the contract."""
    with captured(service="s", linger_ms=1) as capture:
        tokentide.instrument(telemetry=capture.telemetry)
        try:
            yield capture
        finally:
            tokentide.uninstrument()
        for event in capture.events():
            EVENT_ADAPTER.validate_python(event)
