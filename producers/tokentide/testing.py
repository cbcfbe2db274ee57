"""For a host's tests: capture what would have gone to Kafka.

    from tokentide.testing import captured

    with captured(service="search-api") as capture:
        handle_request(capture.telemetry)
    assert capture.requests[0]["input_tokens"] == 812

The real producer runs, with its thread, encoding and framing; only the network is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from tokentide.delivery.framing import Frame
from tokentide.telemetry import Telemetry


class CaptureSender:
    """A `FrameSender` that keeps frames in memory and can be made to fail.

    Attributes:
        frames: Frames accepted, in order.
        failures: Exceptions to raise, one per attempt to send, before anything is accepted.
        connect_failures: The same for attempts to connect.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.failures: list[Exception] = []
        self.connect_failures: list[Exception] = []
        self.is_connected = False
        self._others: dict[str, CaptureSender] = {}

    def for_topic(self, topic: str) -> CaptureSender:
        """Return the sender of another topic, here for captured content; always the same one."""
        return self._others.setdefault(topic, CaptureSender())

    async def connect(self) -> None:
        """Connect, or raise the next failure."""
        if self.connect_failures:
            raise self.connect_failures.pop(0)
        self.is_connected = True

    async def send(self, frames: Sequence[Frame]) -> None:
        """Keep the frames, or raise the next failure."""
        if self.failures:
            raise self.failures.pop(0)
        self.frames.extend(frames)

    async def close(self) -> None:
        """Disconnect."""
        self.is_connected = False

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event accepted so far, decoded, in order."""
        return [
            orjson.loads(line) for frame in list(self.frames) for line in frame.payload.split(b"\n")
        ]


class Capture:
    """A producer and what it sent."""

    def __init__(self, telemetry: Telemetry, sender: CaptureSender) -> None:
        self.telemetry = telemetry
        self.sender = sender

    def events(self, type: str | None = None) -> list[dict[str, Any]]:
        """Return the events emitted so far, in order, of one type or of all."""
        self.telemetry.flush(5.0)
        return [event for event in self.sender.events if type in (None, event.get("type"))]

    @property
    def content(self) -> list[dict[str, Any]]:
        """The content records captured so far, when `capture_content` is set."""
        self.telemetry.flush(5.0)
        return self.sender.for_topic(self.telemetry.settings.content_topic).events

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The `request` events emitted so far."""
        return self.events("request")


@contextmanager
def captured(**settings: object) -> Iterator[Capture]:
    """Yield a producer whose frames are kept instead of sent; closes it at the end.

    Args:
        settings: As for `Telemetry`.
    """
    sender = CaptureSender()
    telemetry = Telemetry(sender=sender, **settings)
    try:
        yield Capture(telemetry, sender)
    finally:
        telemetry.close(5.0)
