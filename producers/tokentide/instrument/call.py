"""One call of an instrumented client, from its start to its one event.

Runs on the host's thread around the host's own call. Invariants: exactly one event for each call,
however it ends (returned, raised, streamed to the end, closed, cancelled, abandoned, collected as
garbage), and no error of ours in the host's way. Only scalars of request and response are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from tokentide.context import fill
from tokentide.failures import describe_failure
from tokentide.finish import status_from
from tokentide.instrument.guard import held
from tokentide.log import RareLog
from tokentide.recorder import Recorder, _current
from tokentide.trace_context import fill_trace

if TYPE_CHECKING:
    from tokentide.telemetry import Telemetry
    from tokentide.usage.flavour import Flavour, StreamReading

log = RareLog()

Fields = dict[str, object]
IsToken = Callable[[Any], bool]
"""Whether a chunk brings output; most streams open with chunks that bring none."""
Progress = Callable[[], tuple[object, int, int, int, int]]
"""Returns how far a stream is: a chunk that was forwarded and not yet looked at (else None), number
of chunks, when the first token and the last chunk came, largest gap after that token (ns)."""


def any_chunk(_chunk: object) -> bool:
    """Takes every chunk for output."""
    return True


def begin(
    telemetry: Telemetry, template: Fields, flavour: Flavour, request: Mapping[str, object]
) -> Call | None:
    """Starts a call, or returns None when somebody is recording it already; never raises.

    Args:
        telemetry: Where the event will go.
        template: Fields of the event that the client determines; not modified.
        flavour: How to read this API.
        request: Keyword arguments of the client's call, or the body it makes of them.
    """
    if held.get() is not None:
        return None
    try:
        return Call(telemetry, template, flavour, request)
    except Exception as exc:
        log.note("begin", "a call is not recorded: %r", exc)
        return None


class Call:
    """Measures one call; made by `begin`, ended by `returned`, `failed` or the end of its stream.

    Attributes:
        retries: How often the client has sent the request again.
        flavour: How to read this API.
        is_token: Tells which chunk brings output.
        swallows_usage: Whether the chunk with the usage was asked for by us and not by the host.
    """

    __slots__ = (
        "_claim",
        "_emit",
        "_event",
        "_is_sent",
        "_outer",
        "_progress",
        "_recorder",
        "_started_ns",
        "_until_ns",
        "flavour",
        "is_token",
        "late",
        "reading",
        "retries",
        "swallows_usage",
    )

    def __init__(
        self,
        telemetry: Telemetry,
        template: Fields,
        flavour: Flavour,
        request: Mapping[str, object],
    ) -> None:
        self._emit = telemetry._emit_owned
        self._event: list[Fields] = []  # whoever pops the only element writes the event
        self._outer: object | None = None
        self._is_sent = True
        self._until_ns = 0
        self._progress: Progress | None = None
        self.flavour = flavour
        self.is_token: IsToken = any_chunk
        self.reading: StreamReading | None = None
        self.late: Callable[[], object] | None = None
        self.retries = 0
        self.swallows_usage = False
        event = {**template}
        try:
            event.update(flavour.read_request(request))
        except Exception as exc:
            log.note("request", "a request could not be read: %r", exc)
        fill(event, telemetry.settings)
        fill_trace(event)
        self._recorder: Recorder | None = _current.get()
        self._claim = None if self._recorder is None else self._recorder._claim()
        event["started_at_us"] = time_ns() // 1000
        self._event.append(event)
        self._started_ns = perf_counter_ns()

    def put_off(self) -> None:
        """Tells that the request is sent later, or never: without `start` there is no event."""
        self._is_sent = False

    def start(self) -> None:
        """Starts the clock of a call that was put off."""
        self._is_sent = True
        for event in self._event:
            event["started_at_us"] = time_ns() // 1000
        self._started_ns = perf_counter_ns()

    # -- while the client's own code runs ---------------------------------------------------

    def hold(self) -> None:
        """Keeps calls that the client makes to itself from being recorded as well."""
        self._outer = held.get()
        held.set(self)

    def release(self) -> None:
        """Ends what `hold` began."""
        held.set(self._outer)
        self._outer = None

    # -- ends ---------------------------------------------------------------------------------

    def returned(self, response: object) -> None:
        """Ends the call with a whole response."""
        event = self._take()
        if event is None:
            return
        event["duration_ms"] = ((self._until_ns or perf_counter_ns()) - self._started_ns) / 1e6
        try:
            event.update(self.flavour.read_response(response))
        except Exception as exc:
            log.note("response", "a response could not be read: %r", exc)
        self._finish(event)

    def failed(self, error: BaseException) -> None:
        """Ends the call with what the client raised."""
        self._end(error, perf_counter_ns())

    def streams(self, progress: Progress) -> StreamReading | None:
        """Tells that a stream goes on; returns what wants to see its chunks."""
        self._progress = progress
        try:
            self.reading = self.flavour.read_stream()
        except Exception as exc:
            log.note("stream", "a stream could not be read: %r", exc)
        return self.reading

    def stopped(self, error: BaseException | None = None) -> None:
        """Ends a stream that ran to its end, or raised `error`."""
        self._end(error, perf_counter_ns())

    def closed(self, error: BaseException | None = None) -> None:
        """Ends a stream that nobody will read further; `error` is what made the host leave it.

        What was read to its last word before it was closed is complete.
        """
        self._end(error or GeneratorExit(), 0)

    def wait(self, response: Callable[[], object]) -> None:
        """Tells that the request is done and its response unread; it may never be.

        Args:
            response: Returns the parsed body once the host has read it, else None.
        """
        self._until_ns = perf_counter_ns()
        self.late = response

    def __del__(self) -> None:
        # The host has dropped the stream or response; nothing refers to this call any more.
        try:
            if self._event and self._is_sent:
                body = self.late() if self.late is not None else None
                if body is not None:
                    self.returned(body)
                else:
                    self.closed()
        except Exception as exc:
            log.note("dropped", "a call that was dropped is not recorded: %r", exc)

    # -- the event ----------------------------------------------------------------------------

    def _take(self) -> Fields | None:
        try:
            return self._event.pop()
        except IndexError:
            return None

    def _end(self, error: BaseException | None, ended_ns: int) -> None:
        event = self._take()
        if event is None:
            return
        try:
            last_ns = self._fill_progress(event)
            # A stream that was dropped ended with its last chunk, not when the garbage was taken.
            ended_ns = ended_ns or last_ns or self._until_ns or perf_counter_ns()
            event["duration_ms"] = (ended_ns - self._started_ns) / 1e6
            if self.reading is not None:
                event.update(self.reading.fields())
            if error is not None:
                failure = describe_failure(error)
                if failure["status"] == "error" or not event.get("finish_reasons"):
                    event.update(failure)
        except Exception as exc:
            log.note("end", "the end of a call could not be read: %r", exc)
            event.setdefault("status", "ok" if error is None else "error")
        self._finish(event)

    def _fill_progress(self, event: Fields) -> int:
        if self._progress is None:
            return 0
        pending, chunks, first_ns, last_ns, gap_ns = self._progress()
        if pending is not None and self.reading is not None:
            self.reading.add(pending)
        event["stream"] = True
        event["chunks"] = chunks
        if first_ns:
            event["ttft_ms"] = (first_ns - self._started_ns) / 1e6
            if last_ns > first_ns:
                event["max_chunk_gap_ms"] = gap_ns / 1e6
        return last_ns

    def _finish(self, event: Fields) -> None:
        try:
            if self.retries:
                event["retry_count"] = self.retries
            if "usage_source" not in event:
                event["usage_source"] = "missing"
            claim, recorder = self._claim, self._recorder
            if claim is not None and recorder is not None and recorder._take(claim, event):
                return  # the host's own block around this call is its event
            if "status" not in event:
                event["status"] = status_from(event.get("finish_reasons") or ())  # type: ignore[arg-type]
            if "duration_ms" not in event:
                event["duration_ms"] = (perf_counter_ns() - self._started_ns) / 1e6
        except Exception as exc:
            log.note("finish", "an event is incomplete: %r", exc)
        self._emit(event)
