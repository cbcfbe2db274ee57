"""For a host's tests: capture what would have gone to Kafka.

    from tokentide.testing import captured

    with captured(service="search-api") as capture:
        handle_request(capture.telemetry)
    assert capture.requests[0]["input_tokens"] == 812

The real producer runs, with its thread, encoding and framing; only the network is replaced. What
it sends is held against the event contract: a field that the contract does not know, or a value
that the pipeline would refuse, ends the block with a `ContractError` that names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

import orjson

from tokentide.conformance import faults
from tokentide.delivery.framing import Frame
from tokentide.telemetry import Telemetry

if TYPE_CHECKING:
    from tokentide.settings.given import GivenSettings

MOST_SHOWN = 20
"""Faults that one message shows."""


class ContractError(AssertionError):
    """Events that were sent do not keep the event contract; the message says what is wrong."""


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
    """A producer and what it sent.

    Args:
        telemetry: The producer.
        sender: What keeps its frames.
        checks_contract: Whether events are held against the contract whenever they are asked for.
    """

    def __init__(
        self, telemetry: Telemetry, sender: CaptureSender, *, checks_contract: bool = True
    ) -> None:
        self.telemetry = telemetry
        self.sender = sender
        self._checks_contract = checks_contract

    def events(self, type: str | None = None) -> list[dict[str, Any]]:
        """Return the events emitted so far, in order, of one type or of all.

        Raises:
            ContractError: One of them, of whatever type, does not keep the contract.
        """
        self.telemetry.flush(5.0)
        events = self.sender.events
        if self._checks_contract:
            _check(events, self.telemetry.stats().dropped.get("invalid", 0))
        return [event for event in events if type in (None, event.get("type"))]

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
def captured(
    *, checks_contract: bool = True, **settings: Unpack[GivenSettings]
) -> Iterator[Capture]:
    """Yield a producer whose frames are kept instead of sent; closes it at the end.

    Args:
        checks_contract: False where a test sends what is wrong on purpose.
        settings: As for `Telemetry`.

    Raises:
        ContractError: At the end of the block, or where events are asked for: one of the events
            does not keep the contract. An exception of the block itself goes first.
    """
    sender = CaptureSender()
    telemetry = Telemetry(sender=sender, **settings)
    made = Capture(telemetry, sender, checks_contract=checks_contract)
    try:
        yield made
        made.events()
    finally:
        telemetry.close(5.0)


def _check(events: Sequence[dict[str, Any]], invalid: int) -> None:
    """Raise with everything that is wrong."""
    wrong = [
        f"event {number} ({event.get('type')}): {fault}"
        for number, event in enumerate(events, 1)
        for fault in faults(event)
    ]
    if invalid:
        wrong.append(f"emitted {invalid} times what is no event: give a dict with a type")
    if wrong:
        more = len(wrong) - MOST_SHOWN
        lines = [*wrong[:MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise ContractError("the event contract is not kept:\n" + "\n".join(lines))
