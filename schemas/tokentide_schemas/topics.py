"""The topic registry: every Kafka topic of the pipeline, its ordering and its life.

All code that creates, reads or documents a topic takes it from here. Four partitions are enough by
default: a frame carries hundreds of events, so one partition carries tens of thousands of events a
second, while every partition costs the store three inserts a flush.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic: how it is keyed, how wide it is, and how long records stay."""

    name: str
    key: str
    """What the record key holds, in words; it decides which records stay in order."""
    schema: str
    """Name of the JSON Schema of one event in a record value, or `-` for internal rows."""
    partitions: int = 4
    retention_ms: int = 24 * _HOUR_MS
    cleanup_policy: Literal["delete", "compact"] = "delete"
    max_message_bytes: int = 4 * 1024 * 1024
    purpose: str = ""


EVENTS = TopicSpec(
    name="tokentide.events.v1",
    key="producer id, or none",
    schema="event",
    purpose="frames of events from every producer: the log of record",
)
OTLP = TopicSpec(
    name="tokentide.otlp.v1",
    key="as the OpenTelemetry Collector sends them: trace id, or none",
    schema="-",
    purpose="export requests as OTLP JSON; their spans that are calls of a model become events",
)
WINDOWS_TOPIC = TopicSpec(
    name="tokentide.windows.v1",
    key="batch, or source partition",
    schema="-",
    # One: all of a batch is in one order, and Kafka's group protocol elects the one reader.
    partitions=1,
    purpose="what detection reads: deltas of windows and of subjects in ten seconds, steps of runs "
    "and marks of progress; the header `schema` names the kind",
)
DEADLETTER = TopicSpec(
    name="tokentide.deadletter.v1",
    key="source topic/partition/offset/idx",
    schema="-",
    partitions=1,
    retention_ms=14 * 24 * _HOUR_MS,
    purpose="events that were refused: what is kept of them, their coordinates and the reason",
)
ALERTS = TopicSpec(
    name="tokentide.alerts.v1",
    key="alert id",
    schema="-",
    partitions=1,
    retention_ms=14 * 24 * _HOUR_MS,
    purpose="alerts as they open, change and close",
)
CONTROL = TopicSpec(
    name="tokentide.control.v1",
    key="`run/<tenant>/<run>` or `budget/<name>`",
    schema="-",
    partitions=1,
    cleanup_policy="compact",
    purpose="state of runs and budgets, which services read back",
)
CONTENT = TopicSpec(
    name="tokentide.content.v1",
    key="producer id, or none",
    schema="-",
    retention_ms=3 * 24 * _HOUR_MS,
    purpose="prompts and responses of calls, only where a producer is set to capture them; "
    "nothing of the pipeline reads it",
)

TOPICS: tuple[TopicSpec, ...] = (EVENTS, OTLP, WINDOWS_TOPIC, DEADLETTER, ALERTS, CONTROL, CONTENT)
