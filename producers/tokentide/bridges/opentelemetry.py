"""OpenTelemetry spans as events: for services that are traced and want their spend counted too.

    provider = TracerProvider()
    provider.add_span_processor(TokentideSpanProcessor(telemetry))

Spans of model calls, by any instrumentation, become events; all other spans are ignored.
Nothing here raises or waits: the event goes into the producer's queue like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from tokentide.log import RateLimitedLog
from tokentide.seen_calls import response_key, seen_calls, span_key
from tokentide.semconv import SpanData, SpanEvent, event_of, first_and_last, reading_of
from tokentide.telemetry import Telemetry

_log = RateLimitedLog()
_MAX_OPEN = 4096
"""Spans remembered because a call ended below them and they have not ended yet."""

_Tokens = tuple[object, object]
_UNKNOWN: _Tokens = (None, None)


class TokentideSpanProcessor(SpanProcessor):
    """Emits an event for every finished span that is a call of a model.

    Spans that are not sampled but recorded count as well: money is never sampled away.

    Args:
        telemetry: Where events go.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        seen_calls.is_watched = True
        self._telemetry = telemetry
        self._reader = _Reader()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Emit the span's event, if it has one."""
        self._reader.emit(span, self._telemetry)

    def shutdown(self) -> None:
        """Do nothing: the producer belongs to the host, who closes it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything emitted so far has left, at most so long."""
        return self._telemetry.flush(timeout_millis / 1000)


class TokentideSpanExporter(SpanExporter):
    """The same for a `BatchSpanProcessor`, which maps spans in a thread of its own.

    Args:
        telemetry: Where events go.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        seen_calls.is_watched = True
        self._telemetry = telemetry
        self._reader = _Reader()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Emit the events of a batch of finished spans."""
        for span in spans:
            self._reader.emit(span, self._telemetry)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing: the producer belongs to the host, who closes it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything emitted so far has left, at most so long."""
        return self._telemetry.flush(timeout_millis / 1000)


class _Reader:
    """Turns finished spans into events, each call once, although spans nest."""

    def __init__(self) -> None:
        # Token counts of calls that ended inside a span, by that span: a framework and the client
        # it uses may both be instrumented, and then two spans describe one call.
        self._below: dict[tuple[str, str], set[_Tokens]] = {}

    def emit(self, span: ReadableSpan, telemetry: Telemetry) -> None:
        """Emit the event of a span that is a call that nothing else recorded; never raises."""
        try:
            event = self._event(span)
            if event is not None and seen_calls.is_first(
                "opentelemetry",
                response_key(event),
                span_key(event.get("trace_id"), event.get("span_id")),
            ):
                telemetry.emit(event)
        except Exception as exc:
            _log.report("opentelemetry", "a span was not turned into an event: %r", exc)

    def _event(self, span: ReadableSpan) -> dict[str, object] | None:
        data = span_data(span)
        below = self._below.pop((data.trace_id, data.span_id), None)
        reading = reading_of(data)
        event = event_of(data, reading)
        reported: set[_Tokens] = below or set()
        if event is not None:
            tokens = (event.get("input_tokens"), event.get("output_tokens"))
            is_sum = not reading.is_stated
            if reported and (is_sum or tokens in (reported | {_UNKNOWN})):
                event = None
            elif tokens != _UNKNOWN:
                reported = reported | {tokens}
        if reported and data.parent_span_id:
            self._remember((data.trace_id, data.parent_span_id), reported)
        return event

    def _remember(self, above: tuple[str, str], reported: set[_Tokens]) -> None:
        if len(self._below) >= _MAX_OPEN:
            self._below.clear()  # parents that never end, such as a loop's: forget, do not grow
        known = self._below.get(above)
        self._below[above] = reported if known is None else set(list(known | reported)[:64])


def span_data(span: ReadableSpan) -> SpanData:
    """Return a span of OpenTelemetry's SDK as the mapping takes it."""
    context, parent, scope = span.context, span.parent, span.instrumentation_scope
    start_ns = span.start_time or 0
    return SpanData(
        name=span.name,
        attributes=cast("Mapping[str, object]", span.attributes or {}),
        start_ns=start_ns,
        end_ns=span.end_time or start_ns,
        trace_id=f"{context.trace_id:032x}" if context is not None else "",
        span_id=f"{context.span_id:016x}" if context is not None else "",
        parent_span_id=f"{parent.span_id:016x}" if parent is not None else "",
        kind=span.kind.name.lower(),
        is_error=span.status.status_code is StatusCode.ERROR,
        message=span.status.description or "",
        events=[
            SpanEvent(
                event.name, event.timestamp, cast("Mapping[str, object]", event.attributes or {})
            )
            for event in first_and_last(span.events)
        ],
        resource=cast("Mapping[str, object]", span.resource.attributes),
        scope=scope.name if scope is not None else "",
        scope_version=(scope.version or "") if scope is not None else "",
    )
