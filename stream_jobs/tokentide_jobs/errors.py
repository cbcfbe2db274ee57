"""Errors of the pipeline; whatever a user can cause says what, where and what to do.

PipelineError
├── ConfigError          a setting, option or file is wrong; nothing was started or changed
├── InvalidEvent         one event is refused: reason, field and detail for its dead letter
├── ServiceUnreachable   Kafka or ClickHouse does not answer at the named address
├── RetriableSinkError   the store refused for now: try again under the same token
├── StackError           the embedded stack cannot start or stop
└── InvariantViolation   a promise of the pipeline is broken: stop the partition, loudly
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "InvalidEvent",
    "InvariantViolation",
    "PipelineError",
    "RetriableSinkError",
    "ServiceUnreachable",
    "StackError",
]


class PipelineError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(PipelineError):
    """A setting, option or file is wrong; the message names it, its value and the remedy."""


class InvalidEvent(PipelineError):
    """One event is refused.

    Attributes:
        reason: A stable word for counters: `malformed_json`, `missing_field`, …
        field: The field at fault, or the empty string.
        detail: One sentence for a person.
    """

    def __init__(self, reason: str, field: str, detail: str) -> None:
        super().__init__(f"{reason}: {field}: {detail}" if field else f"{reason}: {detail}")
        self.reason = reason
        self.field = field
        self.detail = detail


class ServiceUnreachable(PipelineError):
    """Kafka or ClickHouse does not answer; the message names the address and the setting."""


class RetriableSinkError(PipelineError):
    """The store refused for now; the same insert under the same token may succeed later."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class StackError(PipelineError):
    """The embedded stack cannot start or stop; the message says what holds it up."""


class InvariantViolation(PipelineError):
    """A promise of the pipeline is broken: going on would hide it."""
