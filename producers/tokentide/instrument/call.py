"""One call of an instrumented client, from its start to its one event.

Runs on the host's thread around the host's own call, so it only takes down what will be needed; the
event is put together in the background where that is possible. Invariants: exactly one event for
each call, however it ends (returned, raised, streamed to the end, closed, cancelled, abandoned,
collected as garbage), and no error of this code reaches the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from sys import modules
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from tokentide.context import Scope, current_scope
from tokentide.event_identity import EventIdentity, note_latest, resolve, withdraw
from tokentide.failures import describe_failure
from tokentide.finish import status_from
from tokentide.log import RateLimitedLog
from tokentide.recorder import EnclosingRequest, current_recorder
from tokentide.seen_calls import response_key, seen_calls, span_key
from tokentide.trace_context import fill_trace
from tokentide.usage import USAGE_FIELDS
from tokentide.usage.reported_cost import leave_out_unknown

if TYPE_CHECKING:
    from tokentide.content.collected import CollectedTexts
    from tokentide.producer import Producer
    from tokentide.usage.flavour import Flavour, StreamReading

log = RateLimitedLog()

current_call: ContextVar[object | None] = ContextVar("tokentide_call", default=None)
"""What is recording the call that runs in this task or thread; None when nothing does.

A framework that calls a provider's client, and a client's helper that calls the client's own
method, are both seen. The layer that sees the call first sets this until the call has returned; a
layer that finds it set records nothing.
"""

Fields = dict[str, object]
IsToken = Callable[[Any], bool]
"""Whether a chunk brings output; most streams open with chunks that bring none."""
Progress = Callable[[], tuple[object, int, int, int, int]]
"""Returns how far a stream is: a chunk that was forwarded and not yet looked at (else None), number
of chunks, when the first token and the last chunk came, largest gap after that token (ns)."""

_SMALL = ("chat", "generate_content", "text_completion")
"""Operations whose responses are small enough to wait for the background thread; vectors, images
and recordings are not."""


def any_chunk(_chunk: object) -> bool:
    """Take every chunk for output."""
    return True


def begin(
    producer: Producer, template: Fields, flavour: Flavour, request: Mapping[str, object]
) -> Call | None:
    """Start a call, or return None when another layer is recording it already; never raises.

    Args:
        producer: Where the event will go.
        template: Fields of the event that the client determines; not modified.
        flavour: How to read this API.
        request: Keyword arguments of the client's call, or the body it makes of them.
    """
    if current_call.get() is not None:
        return None
    try:
        return Call(producer, template, flavour, request)
    except Exception as exc:
        log.report("begin", "a call is not recorded: %r", exc)
        return None


class Call:
    """Measures one call; made by `begin`, ended by `returned`, `failed` or the end of its stream.

    Attributes:
        retries: How often the client has sent the request again.
        attempts: How often it has sent it at all, where only that can be seen.
        opening: What came before the first chunk of a stream and is read with the chunks.
        flavour: How to read this API.
        is_token: Tells which chunk brings output.
        read_body: Returns the body of a raw response once the host has read it, else None.
        hides_usage: Whether the chunk with the usage was asked for by us and not by the host.
    """

    # Defaults of the class, so that a call sets only what differs.
    is_token: IsToken = staticmethod(any_chunk)
    read_body: Callable[[], object] | None = None
    retries = 0
    attempts = 0
    opening: object = None
    hides_usage = False
    _duration_ms = 0.0
    _enclosing: EnclosingRequest | None = None
    _failure: Fields | None = None
    _identity: EventIdentity | None = None
    _is_sent = True
    _open = False
    _outer: object | None = None
    _progress: Progress | None = None
    _reading: StreamReading | None = None
    _response: object = None
    _scope: Scope | None = None
    _stream: Fields | None = None
    _texts: CollectedTexts | None = None
    _trace: Fields | None = None
    _until_ns = 0

    def __init__(
        self,
        producer: Producer,
        template: Fields,
        flavour: Flavour,
        request: Mapping[str, object],
    ) -> None:
        self._producer = producer
        self._template = template
        self._request: Mapping[str, object] | None = request
        self.flavour = flavour
        scope = current_scope()
        if scope is not None:
            self._scope = scope
        if "opentelemetry.trace" in modules:
            self._trace = {}
            fill_trace(self._trace)
        recorder = current_recorder()
        if recorder is not None:
            self._enclosing = EnclosingRequest.claim(recorder)
        self._started_us = time_ns() // 1000
        if self._enclosing is None:  # else its event is the block's
            identity = self._identity = (producer.reference, self._started_us, {})
            note_latest(identity)
        self._open = True  # deleting it ends the call, see `_try_to_end`
        self._started_ns = perf_counter_ns()

    def postpone(self) -> None:
        """Note that the request is sent later, or never: without `start` there is no event."""
        self._is_sent = False

    def start(self) -> None:
        """Start the clock of a call that was postponed."""
        self._is_sent = True
        self._started_us = time_ns() // 1000
        self._started_ns = perf_counter_ns()

    # -- while the client's own code runs ---------------------------------------------------

    def hold(self) -> None:
        """Keep calls that the client makes to itself from being recorded as well."""
        outer = current_call.get()
        if outer is not None:
            self._outer = outer
        current_call.set(self)

    def release(self) -> None:
        """End what `hold` began."""
        current_call.set(self._outer)

    # -- ends -------------------------------------------------------------------------------

    def returned(self, response: object) -> None:
        """End the call with a whole response."""
        if not self._try_to_end():
            return
        ended_ns = self._until_ns or perf_counter_ns()
        self._duration_ms = (ended_ns - self._started_ns) / 1e6
        can_wait, condense = self._can_wait(), self.flavour.condense
        if can_wait and condense is not None:
            response = condense(response)
        self._response = response
        # A tuple is an answer made small: "Condensed responses" in docs/producer-internals.md.
        if can_wait and (type(response) is tuple or self._is_small(response)):
            self._producer.put_deferred(self)
        else:
            self._emit(None)

    def failed(self, error: BaseException) -> None:
        """End the call with what the client raised."""
        self._end(error, perf_counter_ns())

    def streams(self, progress: Progress) -> StreamReading | None:
        """Note that a stream goes on; returns the reader of its chunks."""
        self._progress = progress
        self.read_body = None
        try:
            self._reading = self.flavour.read_stream()
            if self._producer.settings.reads_content:
                from tokentide.content.collected import StreamWithText

                self._reading = StreamWithText(self._reading, self._producer.settings)
            if self.opening is not None:
                self._reading.add(self.opening)
        except Exception as exc:
            log.report("stream", "a stream could not be read: %r", exc)
        return self._reading

    @property
    def is_streaming(self) -> bool:
        """Whether a stream of this call is being watched, or has ended."""
        return self._progress is not None or not self._open

    def stopped(self, error: BaseException | None = None) -> None:
        """End a stream that ran to its end, or raised `error`."""
        self._end(error, perf_counter_ns())

    def closed(self, error: BaseException | None = None) -> None:
        """End what will not be read further; `error` is what made the host leave it.

        What was read to its last word before it was closed is complete.
        """
        body = self.read_body() if self.read_body is not None else None
        if body is not None:
            self.returned(body)
        else:
            self._end(error or GeneratorExit(), 0)

    def wait(self, body: Callable[[], object]) -> None:
        """Note that the request is done and its raw response unread; it may never be read.

        Args:
            body: Becomes `read_body`.
        """
        self._until_ns = perf_counter_ns()
        self.read_body = body

    def __del__(self) -> None:
        # The host has dropped the stream or response; nothing refers to this call any more.
        try:
            if self._open and self._is_sent:
                self.closed()
        except Exception as exc:
            log.report("dropped", "a call that was dropped is not recorded: %r", exc)

    def _try_to_end(self) -> bool:
        try:
            # One step for all threads: "One winner without a lock" in docs/producer-internals.md.
            del self._open
        except AttributeError:
            return False
        return True

    def _end(self, error: BaseException | None, ended_ns: int) -> None:
        if not self._try_to_end():
            return
        last_ns = 0
        if self._progress is not None:
            last_ns = self._take_progress(self._progress)
        # A stream that was dropped ended with its last chunk, not when the garbage was taken.
        ended_ns = ended_ns or last_ns or self._until_ns or perf_counter_ns()
        self._duration_ms = (ended_ns - self._started_ns) / 1e6
        if error is not None:
            self._failure = describe_failure(error)
        if self._can_wait():
            self._producer.put_deferred(self)
        else:
            self._emit(error)

    def _take_progress(self, progress: Progress) -> int:
        self._progress = None
        pending, chunks, first_ns, last_ns, gap_ns = progress()
        try:
            if pending is not None and self._reading is not None:
                self._reading.add(pending)
        except Exception as exc:
            log.report("chunk", "the last chunk of a stream could not be read: %r", exc)
        self._stream = {"stream": True, "chunks": chunks}
        if first_ns:
            self._stream["ttft_ms"] = (first_ns - self._started_ns) / 1e6
            if last_ns > first_ns:
                self._stream["max_chunk_gap_ms"] = gap_ns / 1e6
        return last_ns

    # -- the event --------------------------------------------------------------------------

    def _can_wait(self) -> bool:
        """Return whether no other reader needs the event before the background thread does."""
        return self._enclosing is None and not seen_calls.is_watched and not self._producer.has_gate

    def _is_small(self, response: object) -> bool:
        """Return whether a response may be kept for the background thread as it is."""
        return self._template["operation"] in _SMALL and (
            type(response) is dict or hasattr(type(response), "__pydantic_validator__")
        )

    def _emit(self, error: BaseException | None) -> None:
        """Queue the event; put together here and now."""
        event = self.build()
        if seen_calls.is_watched and not _is_first(event, error):
            if self._identity is not None:
                withdraw(self._identity)
            return  # a bridge has recorded this call
        if self._enclosing is not None and self._enclosing.fill(event, self._texts):
            return  # the host's own block around this call is its event
        self._producer.put(event, self._texts)

    def build(self) -> Fields:
        """Return the event and let go of request and response; never raises."""
        event = {**self._template, "started_at_us": self._started_us}
        event["duration_ms"] = self._duration_ms
        request, self._request = self._request, None
        response, self._response = self._response, None
        try:
            if request is not None:
                event.update(self.flavour.read_request(request))
            if response is None and self._reading is None:
                # What a request says of its usage holds only where there was an answer.
                for name in (*USAGE_FIELDS, "usage_source"):
                    event.pop(name, None)
            if self._stream is not None:
                event.update(self._stream)
            answered: Fields = {}
            if response is not None:
                answered = self.flavour.read_response(response)
            elif self._reading is not None:
                answered = self._reading.fields()
            event.update(answered)
            if self.flavour.reconcile is not None:
                self.flavour.reconcile(event)
            leave_out_unknown(event)
            if self._producer.settings.reads_content:
                self._collect_texts(request, response)
        except Exception as exc:
            log.report("build", "a call could not be read: %r", exc)
        try:
            self._complete(event)
        except Exception as exc:
            log.report("build", "an event is incomplete: %r", exc)
        return event

    def _complete(self, event: Fields) -> None:
        if self._identity is not None:
            event["event_id"] = resolve(self._identity)
        failure = self._failure
        if failure is not None and (
            failure["status"] == "error" or not _is_complete(event.get("finish_reasons"))
        ):
            event.update(failure)
        if self.retries:
            event["retry_count"] = self.retries
        elif self.attempts:
            event["retry_count"] = self.attempts - 1
        if "usage_source" not in event:
            event["usage_source"] = "missing"
        if "status" not in event:
            event["status"] = status_from(event.get("finish_reasons") or ())  # type: ignore[arg-type]
        if self._trace is not None:
            event.update(self._trace)
        if self._scope is not None:
            self._scope.fill(event, self._producer.settings)

    def _collect_texts(self, request: Mapping[str, object] | None, response: object) -> None:
        from tokentide.content.collected import CollectedTexts, StreamWithText

        reading = self._reading
        self._texts = texts = CollectedTexts()
        output = reading.text if isinstance(reading, StreamWithText) else response
        texts.add(self._producer.settings, input=request, output=output)


def _is_first(event: Fields, error: BaseException | None) -> bool:
    """Return whether no bridge has recorded this call; a span around it counts as its own."""
    around = span_key(event.get("trace_id"), event.get("parent_span_id"))
    return seen_calls.is_first("client", response_key(event), around, error=error)


def _is_complete(reasons: object) -> bool:
    """Return whether a stream had reported why it ends, which one that was cut off has not."""
    return isinstance(reasons, list) and bool(reasons) and "error" not in reasons
