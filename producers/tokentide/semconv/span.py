"""A finished span, however it was transported: what the mapping to an event takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

_MAX_EVENTS: Final = 128
"""Events of a span that are looked at."""

_Event = TypeVar("_Event")
Attributes = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened in a span: its name, its time (epoch ns), its attributes."""

    name: str
    time_ns: int = 0
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanData:
    """A finished span, however it was transported.

    Attributes:
        name: The span's name.
        attributes: Texts, numbers, booleans and sequences of them.
        start_ns: Epoch nanoseconds.
        end_ns: Epoch nanoseconds.
        trace_id: 32 lower-case hex digits, or "".
        span_id: 16 lower-case hex digits, or "".
        parent_span_id: 16 lower-case hex digits, or "".
        kind: internal, server, client, producer, consumer, or "".
        is_error: Whether the span's status says so.
        message: The status' description.
        events: What happened in it; of many the first and the last ones.
        resource: Attributes of the process.
        scope: Name of the instrumentation that made the span.
        scope_version: Its version.
    """

    name: str
    attributes: Attributes
    start_ns: int
    end_ns: int
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    kind: str = ""
    is_error: bool = False
    message: str = ""
    events: Sequence[SpanEvent] = ()
    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""


def first_and_last(events: Sequence[_Event]) -> Sequence[_Event]:
    """Return the events of a span that are looked at, in their order.

    The first tell when it began to answer, the last what it used and how it ended.
    """
    if len(events) <= _MAX_EVENTS:
        return events
    half = _MAX_EVENTS // 2
    return [*events[:half], *events[-half:]]
