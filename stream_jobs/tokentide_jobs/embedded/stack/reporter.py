"""Where the stack reports what it does: a seam, so that commands draw and tests stay silent."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Reporter", "SilentReporter"]


class Reporter(Protocol):
    """Notified of progress, perhaps from the supervising thread."""

    def step(self, what: str) -> None:
        """Say that something begins that takes time."""
        ...

    def done(self, what: str, took_s: float) -> None:
        """Say that it is done."""
        ...

    def note(self, text: str) -> None:
        """Say something worth knowing: a fallback, a restart, a recovered lock."""
        ...


class SilentReporter:
    """Says nothing."""

    def step(self, what: str) -> None:
        """Ignore it."""

    def done(self, what: str, took_s: float) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""
