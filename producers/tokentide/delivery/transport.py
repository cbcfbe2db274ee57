"""The interface between the background thread and what carries frames away.

Kafka is one implementation, the capture of `tokentide.testing` another. A sender is used by one
task of one event loop, one call at a time, so it needs no locking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tokentide.delivery.framing import Frame


class FrameRejected(Exception):
    """The other side will never accept these frames, so sending them again is pointless."""


class FrameSender(Protocol):
    """Carries frames away, in order."""

    async def connect(self) -> None:
        """Become ready to send.

        May take as long as it needs and may raise anything: the caller waits longer and longer and
        calls again. It is called again after every failure.
        """

    async def send(self, frames: Sequence[Frame]) -> None:
        """Return once all frames, which are of one topic, are stored safely on the other side.

        Raises:
            FrameRejected: The frames are unacceptable as they are; they are dropped and counted.
            Exception: Anything else means that the outcome is unknown or the other side is away.
                The same frames are offered again, after `close` and `connect`.
        """

    async def close(self) -> None:
        """Let go of everything `connect` took. Must be safe to call twice and when never open."""
