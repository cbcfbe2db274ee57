"""OTLP as JSON: what the OpenTelemetry Collector's Kafka exporter writes, turned into events.

A record is one export request. Its spans that are calls of a model, and its log records in which a
coding agent reports one, become one event each, in the order of the record; everything else is
counted and left out. Pure: the same bytes always give the same number of lines, which is what lets
a batch be replayed and counted again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from tokentide.semconv import SpanData, SpanEvent, event_of, first_and_last, reading_of
from tokentide_jobs.core.record.agent_logs import HashUser, LogData, event_of_log, no_user_hash
from tokentide_jobs.core.record.dead_letter import DETAIL_CHARACTERS, Refusal
from tokentide_jobs.core.record.lenient import with_replacements
from tokentide_jobs.core.record.otlp_json import (
    NotOtlp,
    attributes_of,
    hex_id,
    listed,
    nanoseconds,
    scopes_of,
    text_of,
    value_of,
)
from tokentide_jobs.core.record.split import BOM, JSON_WHITESPACE

__all__ = ["OtlpRecord", "read_otlp"]

_DEFAULT_SERVICE: Final = "unknown_service"
_KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
_STATUS_ERROR: Final = (2, "STATUS_CODE_ERROR")
_TELLS_TOKENS: Final = ("gen_ai.", "claude_code.", "codex.", "gemini_cli.")
"""How the names of metrics begin whose tokens are in spans or log records, too."""
_MAX_ANCESTORS: Final = 16


@dataclass(frozen=True, slots=True)
class OtlpRecord:
    """What one record holds.

    Attributes:
        lines: One event each, as JSON.
        ignored: How much was left out, by kind: `spans` that are no call of a model,
            `token_spans` that are none either although they carry tokens, `repeated_calls` that
            another span of the record reports better or the record repeats, data points of
            `token_metrics` (the spans hold the same tokens) and of other `metrics`, and `logs`
            that report no call.
        fault: Why the record is no export request; then there are no lines.
        replaced_texts: Texts of the record of which a character could not be encoded.
    """

    lines: list[bytes] = field(default_factory=list)
    ignored: Mapping[str, int] = field(default_factory=dict)
    fault: Refusal | None = None
    replaced_texts: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    span: SpanData
    event: Mapping[str, Any]
    is_stated: bool

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        return self.event.get("input_tokens"), self.event.get("output_tokens")


def read_otlp(value: bytes, hash_user: HashUser = no_user_hash) -> OtlpRecord:
    """Read the value of one record; never raises, whatever it holds.

    Args:
        value: The record's value.
        hash_user: What stands for a user that a log record names; by default nothing does.
    """
    body, replaced_texts = value.removeprefix(BOM), 0
    if not body.strip(JSON_WHITESPACE):
        return OtlpRecord(fault=Refusal("empty", "", "an empty record holds no export request"))
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        lenient = with_replacements(body)
        if lenient is None:
            return OtlpRecord(fault=_unreadable(value, error))
        request, replaced_texts = lenient
    if not isinstance(request, dict):
        detail = "an export request is a JSON object"
        return OtlpRecord(fault=Refusal("not_an_object", "", detail))
    try:
        return replace(_read_request(request, hash_user), replaced_texts=replaced_texts)
    except NotOtlp as error:
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


def _read_request(request: dict[str, Any], hash_user: HashUser) -> OtlpRecord:
    if request and not request.keys() & {"resourceSpans", "resourceMetrics", "resourceLogs"}:
        hint = "; events go to the events topic" if "type" in request else ""
        raise NotOtlp(f"no resourceSpans, resourceMetrics or resourceLogs{hint}")
    ignored: Counter[str] = Counter()
    ignored.update(_metric_points(request))
    spans = list(_spans(request))
    calls: list[_Call] = []
    for span in spans:
        reading = reading_of(span)
        event = event_of(span, reading)
        if event is not None:
            calls.append(_Call(span, event, reading.is_stated))
        else:
            ignored["token_spans" if reading.has_tokens else "spans"] += 1
    repeated = _repeated_by_a_child(calls, spans)
    ignored["repeated_calls"] += len(repeated)
    events: list[Mapping[str, Any]] = []
    seen: set[object] = set()
    for at, call in enumerate(calls):
        if at in repeated:
            continue
        if call.span.span_id and call.event["event_id"] in seen:
            ignored["repeated_calls"] += 1  # one span, twice in one export
            continue
        seen.add(call.event["event_id"])
        events.append(call.event)
    for log in _logs(request):
        event = event_of_log(log, hash_user)
        if event is None:
            ignored["logs"] += 1
        elif event["event_id"] in seen:
            ignored["repeated_calls"] += 1
        else:
            seen.add(event["event_id"])
            events.append(event)
    lines = [orjson.dumps({"service": _DEFAULT_SERVICE, **event}) for event in events]
    return OtlpRecord(lines, {kind: number for kind, number in ignored.items() if number})


def _repeated_by_a_child(calls: list[_Call], spans: list[SpanData]) -> set[int]:
    """Return the positions of calls that other spans of their trace repeat.

    A framework and the client it uses may both be instrumented: two spans, one inside the other,
    for one call. They are the same call when both report the same tokens, or when one reports no
    others; the inner one is kept unless it reports less. What is a call by its tokens alone may
    be the sum of the calls inside it: it repeats them, whatever it reports. So does every other
    call whose tokens are the sum of those of the calls inside it.
    """
    if len(calls) < 2:
        return set()
    parents = {(span.trace_id, span.span_id): span.parent_span_id for span in spans}
    places = {(call.span.trace_id, call.span.span_id): at for at, call in enumerate(calls)}
    repeated: set[int] = set()
    around = [_calls_around(at, call.span, parents, places) for at, call in enumerate(calls)]
    for position, call in enumerate(calls):
        # A repeated call repeats no other one: of spans that are each other's parents one is kept.
        if position in repeated or call.tokens == (None, None):
            continue
        for at in around[position]:
            if not calls[at].is_stated or calls[at].tokens in ((None, None), call.tokens):
                repeated.add(at)
            elif at not in repeated and _is_same_in_part(calls[at], call):
                is_less = None in calls[at].tokens
                repeated.add(at if is_less else position)
                if not is_less:
                    break
    return repeated | _sums(calls, around, repeated)


def _calls_around(
    position: int,
    span: SpanData,
    parents: Mapping[tuple[str, str], str],
    places: Mapping[tuple[str, str], int],
) -> list[int]:
    """Return the positions of the calls that a span is in, from the inside to the outside."""
    found: dict[int, None] = {}
    above = span.parent_span_id
    for _step in range(_MAX_ANCESTORS):
        if not above:
            break
        at = places.get((span.trace_id, above), position)
        if at != position:
            found[at] = None
        above = parents.get((span.trace_id, above), "")
    return list(found)


def _is_same_in_part(one: _Call, other: _Call) -> bool:
    """Tell whether one of two calls alike reports only one of the counts of the other."""
    if one.event["operation"] != other.event["operation"]:
        return False
    pairs = list(zip(one.tokens, other.tokens, strict=True))
    both = [pair for pair in pairs if None not in pair]
    return len(both) == 1 and both[0][0] == both[0][1] != 0


def _sums(calls: list[_Call], around: list[list[int]], repeated: set[int]) -> set[int]:
    """Return the positions of calls whose tokens are those of two or more calls inside them."""
    inside: dict[int, dict[object, int]] = {}
    for position, places in enumerate(around):
        span = calls[position].span
        for at in places:  # a span that the export holds twice is inside once
            inside.setdefault(at, {})[span.span_id or position] = position
    sums: set[int] = set()
    # The innermost first: what sums up is no part of a sum around it.
    for at in sorted(inside, key=lambda place: len(around[place]), reverse=True):
        kept = [
            calls[place].tokens
            for place in inside[at].values()
            if place not in repeated and place not in sums
        ]
        totals = tuple(_sum(tokens[side] for tokens in kept) for side in (0, 1))
        if len(kept) > 1 and any(totals) and totals == calls[at].tokens:
            sums.add(at)
    return sums


def _sum(counts: Iterable[int | None]) -> int | None:
    reported = [count for count in counts if count is not None]
    return sum(reported) if reported else None


# -- spans, log records and metrics ----------------------------------------------------------------


def _metric_points(request: dict[str, Any]) -> Counter[str]:
    points: Counter[str] = Counter()
    for scope, _resource in scopes_of(request, "Metrics"):
        for metric in listed(scope, "metrics"):
            name = str(metric.get("name"))
            is_tokens = name.startswith(_TELLS_TOKENS) and "token" in name
            held = [part for part in metric.values() if isinstance(part, dict)]
            count = sum(len(listed(part, "dataPoints")) for part in held)
            points["token_metrics" if is_tokens else "metrics"] += count
    return points


def _spans(request: dict[str, Any]) -> Iterator[SpanData]:
    for scope, resource in scopes_of(request, "Spans"):
        described = scope.get("scope")
        described = described if isinstance(described, dict) else {}
        around = attributes_of(resource)
        for span in listed(scope, "spans"):
            yield _span(span, around, described)


def _logs(request: dict[str, Any]) -> Iterator[LogData]:
    for scope, resource in scopes_of(request, "Logs"):
        described = scope.get("scope")
        described = described if isinstance(described, dict) else {}
        around = attributes_of(resource)
        for record in listed(scope, "logRecords"):
            yield LogData(
                name=text_of(record.get("eventName")),
                body=text_of(value_of(record.get("body"))),
                attributes=attributes_of(record),
                time_ns=nanoseconds(record, "timeUnixNano"),
                observed_ns=nanoseconds(record, "observedTimeUnixNano"),
                trace_id=hex_id(record.get("traceId"), 32),
                span_id=hex_id(record.get("spanId"), 16),
                resource=around,
                scope_version=text_of(described.get("version")),
            )


def _span(span: dict[str, Any], resource: Mapping[str, object], scope: Any) -> SpanData:
    status = span.get("status")
    status = status if isinstance(status, dict) else {}
    start_ns = nanoseconds(span, "startTimeUnixNano")
    return SpanData(
        name=text_of(span.get("name")),
        attributes=attributes_of(span),
        start_ns=start_ns,
        end_ns=max(start_ns, nanoseconds(span, "endTimeUnixNano")),
        trace_id=hex_id(span.get("traceId"), 32),
        span_id=hex_id(span.get("spanId"), 16),
        parent_span_id=hex_id(span.get("parentSpanId"), 16),
        kind=_kind(span.get("kind")),
        is_error=status.get("code") in _STATUS_ERROR,
        message=text_of(status.get("message")),
        events=[
            SpanEvent(
                text_of(event.get("name")), nanoseconds(event, "timeUnixNano"), attributes_of(event)
            )
            for event in first_and_last(listed(span, "events"))
        ],
        resource=resource,
        scope=text_of(scope.get("name")),
        scope_version=text_of(scope.get("version")),
    )


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return value.removeprefix("SPAN_KIND_").lower()
    is_known = isinstance(value, int) and 0 <= value < len(_KINDS)
    return _KINDS[value] if is_known else ""
