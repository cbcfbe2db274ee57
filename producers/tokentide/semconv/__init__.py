"""From a finished OpenTelemetry span to one event, under every generation of attribute names."""

from tokentide.semconv.attributes import provider_of, table_fields
from tokentide.semconv.calls import Reading, reading_of
from tokentide.semconv.mapping import event_id, event_of, uuid_of
from tokentide.semconv.span import Attributes, SpanData, SpanEvent, first_and_last

__all__ = [
    "Attributes",
    "Reading",
    "SpanData",
    "SpanEvent",
    "event_id",
    "event_of",
    "first_and_last",
    "provider_of",
    "reading_of",
    "table_fields",
    "uuid_of",
]
