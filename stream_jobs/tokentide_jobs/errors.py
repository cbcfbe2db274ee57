"""Errors of the pipeline; whatever a user can cause says what, where and what to do.

PipelineError
├── ConfigError               a setting, option or file is wrong; nothing was started or changed
│   ├── SinkMisconfigured     ClickHouse needs a person: schema, grants, password, address
│   └── GrafanaRefused        Grafana needs a person: token, permission, address, what was sent
├── WrongData                 what is stored is not as it must be; what was done before stays
├── ServiceUnreachable        Kafka or ClickHouse does not answer at the named address
│   └── GrafanaUnreachable    Grafana does not answer, or cannot now
├── RetriableSinkError        the store refused for now: retry under the same token
│   └── NotQuiet              a batch stays half written where `repair` wants to compare
├── RowsRefused               the store refuses a row, however often it is tried
│   └── InsertTooLarge        the store refuses an insert for its size: split it
├── LogReplaced               a topic was made again under the worker that reads it: begin again
├── Abandoned                 the partition was taken away before a step of its batch succeeded
├── UnreadableDelta           a record of the delta topic that no version of ingest has written
├── StackError                the embedded stack cannot start or stop
│   └── ArtifactsUnavailable  Kafka's jars or a Java runtime are missing; Tansu may serve instead
└── InvariantViolation        a promise of the pipeline is broken: stop the partition, loudly
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "InvariantViolation",
    "LogReplaced",
    "PipelineError",
    "RetriableSinkError",
    "ServiceUnreachable",
    "StackError",
    "WrongData",
]


class PipelineError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(PipelineError):
    """A setting, option or file is wrong; the message names it, its value and the remedy."""


class WrongData(PipelineError):
    """What is stored is not as it must be, and the command goes no further; the message says why.

    The command was right and did its work: it found this.
    What was done before stays.
    """


class ServiceUnreachable(PipelineError):
    """Kafka or ClickHouse does not answer; the message names the address and the setting."""


class RetriableSinkError(PipelineError):
    """The store refused for now; the same insert under the same token may succeed later."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class LogReplaced(PipelineError):
    """A topic was deleted and made again: what this process knows of its log is no longer true."""


class StackError(PipelineError):
    """The embedded stack cannot start or stop; the message says what holds it up."""


class InvariantViolation(PipelineError):
    """A promise of the pipeline is broken: going on would hide it."""
