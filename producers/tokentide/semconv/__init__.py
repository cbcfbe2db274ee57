"""From a finished OpenTelemetry span to one event, under every generation of attribute names."""

from tokentide.semconv.calls import Reading, reading_of
from tokentide.semconv.mapping import event_id, event_of
from tokentide.semconv.span import SpanData, SpanEvent

__all__ = ["Reading", "SpanData", "SpanEvent", "event_id", "event_of", "reading_of"]
