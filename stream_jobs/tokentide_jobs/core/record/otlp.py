"""OTLP as JSON: what the OpenTelemetry Collector's Kafka exporter writes, turned into events.

A record is one export request. Its spans that are calls of a model become one event each, in the
order of the record; everything else is counted and left out. Pure: the same bytes always give the
same lines, which is what lets a batch be replayed and counted again.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from tokentide.semconv import SpanData, SpanEvent, event_of, reading_of
from tokentide_jobs.core.record.dead_letter import DETAIL_CHARACTERS, Refusal
from tokentide_jobs.core.record.lenient import mended
from tokentide_jobs.core.record.split import BOM, JSON_WHITESPACE

__all__ = ["OtlpRecord", "read_otlp"]

_DEFAULT_SERVICE: Final = "unknown_service"
_KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
_STATUS_ERROR: Final = (2, "STATUS_CODE_ERROR")
_HEX: Final = frozenset("0123456789abcdef")
_TELLS_TOKENS: Final = ("gen_ai.", "claude_code.", "codex.", "gemini_cli.")
"""How the names of metrics begin whose tokens are told by spans or log records, too."""
_MAX_NS: Final = 1 << 63
_MAX_ANCESTORS: Final = 16
_MAX_EVENTS: Final = 128


class _NotOtlp(ValueError):
    """Where a record is not what OTLP says."""


@dataclass(frozen=True, slots=True)
class OtlpRecord:
    """What one record holds.

    Attributes:
        lines: One event each, as JSON.
        ignored: How much was left out, by kind: `spans` that are no call of a model,
            `token_spans` that are none either although they carry tokens, `repeated_calls` that
            another span of the record tells better, data points of `token_metrics` (the spans
            hold the same tokens) and of other `metrics`, and `logs`.
        fault: Why the record is no export request; then there are no lines.
        mended_texts: Texts of the record of which a character could not be encoded.
    """

    lines: list[bytes] = field(default_factory=list)
    ignored: Mapping[str, int] = field(default_factory=dict)
    fault: Refusal | None = None
    mended_texts: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    span: SpanData
    event: Mapping[str, Any]
    is_stated: bool

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        return self.event.get("input_tokens"), self.event.get("output_tokens")


def read_otlp(value: bytes) -> OtlpRecord:
    """Read the value of one record; never raises, whatever it holds."""
    body, mended_texts = value.removeprefix(BOM), 0
    if not body.strip(JSON_WHITESPACE):
        return OtlpRecord(fault=Refusal("empty", "", "an empty record holds no export request"))
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        lenient = mended(body)
        if lenient is None:
            return OtlpRecord(fault=_unreadable(value, error))
        request, mended_texts = lenient
    if not isinstance(request, dict):
        detail = "an export request is a JSON object"
        return OtlpRecord(fault=Refusal("not_an_object", "", detail))
    try:
        return replace(_read_request(request), mended_texts=mended_texts)
    except _NotOtlp as error:
        return OtlpRecord(fault=Refusal("not_otlp", "", str(error)))
    except Exception as error:
        # An error of our own must cost this record, not the job: it would meet it again for ever.
        return OtlpRecord(fault=Refusal("not_otlp", "", f"cannot be read: {type(error).__name__}"))


def _unreadable(value: bytes, error: Exception) -> Refusal:
    if value[:1] == b"\n":  # field 1 of a protobuf message
        detail = "this looks like protobuf: set `encoding: otlp_json` in the Kafka exporter"
        return Refusal("malformed_json", "", detail)
    try:
        value.decode()
    except UnicodeDecodeError as wrong:
        return Refusal("not_utf8", "", f"byte {wrong.start} is not UTF-8: {wrong.reason}")
    return Refusal("malformed_json", "", str(error)[:DETAIL_CHARACTERS])


def _read_request(request: dict[str, Any]) -> OtlpRecord:
    if request and not request.keys() & {"resourceSpans", "resourceMetrics", "resourceLogs"}:
        hint = "; events go to the events topic" if "type" in request else ""
        raise _NotOtlp(f"no resourceSpans, resourceMetrics or resourceLogs{hint}")
    ignored: Counter[str] = Counter()
    ignored.update(_metric_points(request))
    ignored["logs"] += sum(
        len(_list(scope, "logRecords")) for scope, _r in _scopes(request, "Logs")
    )
    spans = list(_spans(request))
    calls: list[_Call] = []
    for span in spans:
        reading = reading_of(span)
        event = event_of(span) if reading.operation is not None else None
        if event is not None:
            calls.append(_Call(span, event, reading.is_stated))
        else:
            ignored["token_spans" if reading.has_tokens else "spans"] += 1
    repeated = _repeated_by_a_child(calls, spans)
    ignored["repeated_calls"] += len(repeated)
    lines = [
        orjson.dumps({"service": _DEFAULT_SERVICE, **call.event})
        for at, call in enumerate(calls)
        if at not in repeated
    ]
    return OtlpRecord(lines, {kind: number for kind, number in ignored.items() if number})


def _repeated_by_a_child(calls: list[_Call], spans: list[SpanData]) -> set[int]:
    """Return the positions of calls that a span below them repeats.

    A framework and the client it uses may both be instrumented: two spans, one inside the other,
    for one call. The inner one is kept. They are the same call when both report the same tokens,
    or when only the inner one reports any. What is a call by its tokens alone may be the sum of
    the calls inside it: it repeats them, whatever it reports.
    """
    if len(calls) < 2:
        return set()
    parents = {(span.trace_id, span.span_id): span.parent_span_id for span in spans}
    places = {(call.span.trace_id, call.span.span_id): at for at, call in enumerate(calls)}
    repeated: set[int] = set()
    for position, call in enumerate(calls):
        # A repeated call repeats no other one: of spans that are each other's parents one is kept.
        if position in repeated or call.tokens == (None, None):
            continue
        trace_id, above = call.span.trace_id, call.span.parent_span_id
        for _step in range(_MAX_ANCESTORS):
            if not above:
                break
            at = places.get((trace_id, above))
            if (
                at is not None
                and at != position
                and (not calls[at].is_stated or calls[at].tokens in ((None, None), call.tokens))
            ):
                repeated.add(at)
            above = parents.get((trace_id, above), "")
    return repeated


# -- the shape of a request -----------------------------------------------------------------------


def _list(holder: Any, name: str) -> list[Any]:
    """Return a repeated field; absent and null are empty, as in protobuf."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _NotOtlp(f"{name} is no list")
    if not all(isinstance(item, dict) for item in value):
        raise _NotOtlp(f"{name} holds something that is no object")
    return value


def _scopes(request: dict[str, Any], signal: str) -> Iterator[tuple[Any, Any]]:
    """Yield every scope of one signal with the resource around it."""
    for group in _list(request, f"resource{signal}"):
        resource = group.get("resource") or {}
        if not isinstance(resource, dict):
            raise _NotOtlp("resource is no object")
        for scope in _list(group, f"scope{signal}"):
            yield scope, resource


def _metric_points(request: dict[str, Any]) -> Counter[str]:
    points: Counter[str] = Counter()
    for scope, _resource in _scopes(request, "Metrics"):
        for metric in _list(scope, "metrics"):
            name = str(metric.get("name"))
            is_tokens = name.startswith(_TELLS_TOKENS) and "token" in name
            held = [part for part in metric.values() if isinstance(part, dict)]
            count = sum(len(_list(part, "dataPoints")) for part in held)
            points["token_metrics" if is_tokens else "metrics"] += count
    return points


def _spans(request: dict[str, Any]) -> Iterator[SpanData]:
    for scope, resource in _scopes(request, "Spans"):
        described = scope.get("scope")
        described = described if isinstance(described, dict) else {}
        around = _attributes(resource)
        for span in _list(scope, "spans"):
            yield _span(span, around, described)


def _span(span: dict[str, Any], resource: Mapping[str, object], scope: Any) -> SpanData:
    status = span.get("status")
    status = status if isinstance(status, dict) else {}
    start_ns = _nanoseconds(span, "startTimeUnixNano")
    return SpanData(
        name=_text(span.get("name")),
        attributes=_attributes(span),
        start_ns=start_ns,
        end_ns=max(start_ns, _nanoseconds(span, "endTimeUnixNano")),
        trace_id=_hex(span.get("traceId"), 32),
        span_id=_hex(span.get("spanId"), 16),
        parent_span_id=_hex(span.get("parentSpanId"), 16),
        kind=_kind(span.get("kind")),
        is_error=status.get("code") in _STATUS_ERROR,
        message=_text(status.get("message")),
        events=[
            SpanEvent(
                _text(event.get("name")), _nanoseconds(event, "timeUnixNano"), _attributes(event)
            )
            for event in _list(span, "events")[:_MAX_EVENTS]
        ],
        resource=resource,
        scope=_text(scope.get("name")),
        scope_version=_text(scope.get("version")),
    )


def _attributes(holder: dict[str, Any]) -> dict[str, object]:
    """Return attributes by name; of a repeated name the last counts, maps are left out."""
    found: dict[str, object] = {}
    for attribute in _list(holder, "attributes"):
        name, value = attribute.get("key"), _value(attribute.get("value"))
        if isinstance(name, str) and value is not None:
            found[name] = value
    return found


def _value(value: Any) -> object:
    if not isinstance(value, dict):
        return None
    for kind, held in value.items():
        if kind == "stringValue" and isinstance(held, str):
            return held
        if kind == "boolValue" and isinstance(held, bool):
            return held
        if kind == "intValue":
            return _integer(held)
        if kind == "doubleValue" and isinstance(held, (int, float)):
            return float(held)
        if kind == "arrayValue" and isinstance(held, dict):
            items = held.get("values")
            # Arrays of arrays are not followed: nothing that is read comes in them.
            flat = items if isinstance(items, list) else []
            return [_value(item) for item in flat if _is_scalar(item)]
    return None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, dict) and not value.keys() & {"arrayValue", "kvlistValue"}


def _integer(value: Any) -> int | None:
    """Return a 64-bit integer, which JSON holds as text, or as a number from lenient writers."""
    if isinstance(value, str):
        digits = value[1:] if value[:1] == "-" else value
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
            return None
        value = int(value)
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and -_MAX_NS <= value < _MAX_NS else None


def _nanoseconds(holder: dict[str, Any], name: str) -> int:
    return max(0, _integer(holder.get(name)) or 0)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return value.removeprefix("SPAN_KIND_").lower()
    is_known = isinstance(value, int) and 0 <= value < len(_KINDS)
    return _KINDS[value] if is_known else ""


def _hex(value: Any, digits: int) -> str:
    """Return an id in hex; base64, which plain protobuf JSON writes, is understood too."""
    if not isinstance(value, str):
        return ""
    lowered = value.lower()
    if len(lowered) != digits or not _HEX.issuperset(lowered):
        try:
            lowered = base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            return ""
    # All zeros means "none".
    return lowered if len(lowered) == digits and lowered.strip("0") else ""
