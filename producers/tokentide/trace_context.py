"""The trace a call belongs to, when the service is traced by OpenTelemetry.

OpenTelemetry is never imported here: where the process has not imported it, there is no trace to
find. Nothing raises, whatever the installed implementation does.
"""

from __future__ import annotations

import sys


def fill_trace(event: dict[str, object]) -> None:
    """Give an event the `trace_id` and, as its `parent_span_id`, the current span.

    The call itself is no span of OpenTelemetry's, so `span_id` stays absent.
    """
    api = sys.modules.get("opentelemetry.trace")
    if api is None or "trace_id" in event:
        return
    try:
        span = api.get_current_span().get_span_context()
        if span.trace_id and span.span_id:
            event["trace_id"] = f"{span.trace_id:032x}"
            event["parent_span_id"] = f"{span.span_id:016x}"
    except Exception:
        # Half imported, or an API of another generation: the event goes without a trace.
        return
