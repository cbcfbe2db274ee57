"""One LLM call while it runs: a context manager and a decorator that end in one event.

Everything here runs on the host's thread, inside the host's own call. Invariant: whatever happens
to the call or to this code, the host's result or exception passes through untouched, and each
entered recorder emits exactly one event.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from tokentide.context import current_scope
from tokentide.decorating import Function
from tokentide.event_identity import note_latest
from tokentide.failures import describe_failure
from tokentide.finish import normalise, status_from
from tokentide.log import RateLimitedLog
from tokentide.recorded_functions import RecordedFunctions
from tokentide.settings import Settings
from tokentide.trace_context import fill_trace
from tokentide.usage import USAGE_FIELDS

if TYPE_CHECKING:
    from tokentide.content.collected import CollectedTexts
    from tokentide.fields import CallFields, UsageFields, UsageSource

Fields = dict[str, object]
Emit = Callable[[Fields, "CollectedTexts | None"], None]
"""Takes a finished event, and beside it the texts of its call."""

_current: ContextVar[Recorder | None] = ContextVar("tokentide_request", default=None)
_log = RateLimitedLog()
_ASKED = ("provider", "request_model")
"""Fields that `Telemetry.request` sets to `unknown` when they are not given."""
_OF_A_FAILURE = ("status", "error_type", "error_code", "http_status", "retry_after_ms")


class Recorder:
    """Measures one call; made by `Telemetry.request`.

    As a context manager it can be entered again after it was left, which records another call. As
    a decorator it records every call of the function, with a recorder of its own each.
    """

    __slots__ = (
        "_captured",
        "_captured_texts",
        "_chunks",
        "_emit",
        "_event",
        "_event_id",
        "_first_ns",
        "_is_claimed",
        "_largest_gap_ns",
        "_last_ns",
        "_new_id",
        "_outer",
        "_reasons",
        "_settings",
        "_started_ns",
        "_template",
        "_texts",
    )

    def __init__(
        self,
        emit: Emit,
        new_id: Callable[[int], str],
        template: Fields,
        settings: Settings | None = None,
    ) -> None:
        self._emit = emit
        self._new_id = new_id
        self._template = template
        self._settings = settings
        self._captured: Fields | None = None
        self._texts: CollectedTexts | None = None
        self._captured_texts: CollectedTexts | None = None
        self._is_claimed = False
        self._event: Fields | None = None
        self._event_id = ""
        self._reasons: list[str] | None = None
        self._outer: Recorder | None = None
        self._chunks = 0
        self._started_ns = self._first_ns = self._last_ns = self._largest_gap_ns = 0

    # -- context manager --------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._outer = _current.get()
        _current.set(self)
        return self._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _current.set(self._outer)
        self._end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    # -- what the host reports while the call runs --------------------------------------------

    @property
    def event_id(self) -> str:
        """Identity of this call's event, known from its start: evaluations refer to it."""
        return self._event_id

    def set(self, **fields: Unpack[CallFields]) -> None:
        """Set fields of the event, under the names of the event contract."""
        if self._event is not None:
            self._event.update(fields)

    def record_usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        usage_source: UsageSource = "provider",
        **details: Unpack[UsageFields],
    ) -> None:
        """Record what the call consumed.

        Args:
            input_tokens: All input tokens, cached ones included.
            output_tokens: All output tokens, reasoning included.
            usage_source: `provider` when the provider said so, `estimated` when it is a guess.
            details: Further fields of `tokentide.usage.USAGE_FIELDS`, each part of its total. A
                count that is not reported is left out; 0 means that zero was reported. Called
                again, what it reports replaces what was there and the rest stays.
        """
        event = self._event
        if event is None:
            return
        counts: Fields = {"input_tokens": input_tokens, "output_tokens": output_tokens, **details}
        event.update((name, count) for name, count in counts.items() if count is not None)
        event["usage_source"] = usage_source

    def first_token(self) -> None:
        """Mark the moment the first token arrived; later calls change nothing."""
        if self._event is not None and self._first_ns == 0:
            self._first_ns = perf_counter_ns()

    def chunk(self) -> None:
        """Mark the arrival of one chunk of a streamed response; the first is the first token."""
        if self._event is None:
            return
        now_ns = perf_counter_ns()
        if self._chunks == 0:
            if self._first_ns == 0:
                self._first_ns = now_ns
        elif now_ns - self._last_ns > self._largest_gap_ns:
            self._largest_gap_ns = now_ns - self._last_ns
        self._last_ns = now_ns
        self._chunks += 1

    def record_response(self, response: object, *, flavour: str | None = None) -> None:
        """Record what a provider's response says: usage, model, finish reasons, tier, refusal.

        Args:
            response: The SDK's object, a dict, or parsed JSON.
            flavour: API the response comes from, one of `tokentide.usage.flavour.FLAVOUR_NAMES`.
                When absent the response's shape and the recorder's `provider` decide. A name that
                is not known is logged and nothing is recorded.
        """
        event = self._event
        if event is None:
            return
        try:
            from tokentide.usage.flavour import flavour as named
            from tokentide.usage.flavour import for_provider
            from tokentide.usage.reported_cost import leave_out_unknown

            reader = (
                for_provider(str(event.get("provider")), response)
                if flavour is None
                else named(flavour)
            )
            fields = reader.read_response(response)
            reasons = fields.pop("finish_reasons", None)
            if isinstance(reasons, list):
                self._reasons = reasons
            event.update(fields)
            if reader.reconcile is not None:
                reader.reconcile(event)
            leave_out_unknown(event)
        except Exception as exc:
            _log.report("response", "a response could not be recorded: %r", exc)

    def record_content(self, *, input: object = None, output: object = None) -> None:
        """Hand over prompt and response for detectors and capture, where the settings ask for it.

        Args:
            input: A text, a list of messages, or the keyword arguments of a client's call.
            output: A text or a response.
        """
        if self._event is not None and self._settings is not None and self._settings.reads_content:
            from tokentide.content.collected import CollectedTexts

            if self._texts is None:
                self._texts = CollectedTexts()
            self._texts.add(self._settings, input=input, output=output)

    def finish(self, *reasons: str) -> None:
        """Record why the model stopped, one raw reason of the provider per choice.

        A refusal or a content filter among them makes the status `refused` or `filtered`.
        """
        try:
            self._reasons = normalise(reasons)
        except Exception:
            self._reasons = None

    def record_error(self, error: BaseException) -> None:
        """Record a failure that the host handles itself, inside the block."""
        if self._event is not None:
            try:
                self._event.update(describe_failure(error))
            except Exception:
                self._event["status"] = "error"

    # -- measuring --------------------------------------------------------------------------

    def _begin(self) -> Self:
        self._chunks = self._first_ns = self._last_ns = self._largest_gap_ns = 0
        self._reasons = None
        self._captured = self._texts = self._captured_texts = None
        self._is_claimed = False
        started_ns = time_ns()
        event: Fields = {"type": "request", **self._template}
        if self._settings is not None:
            scope = current_scope()
            if scope is not None:
                scope.fill(event, self._settings)
            fill_trace(event)
        event["started_at_us"] = started_ns // 1000
        self._event_id = event["event_id"] = self._new_id(started_ns)
        note_latest(self._event_id)
        self._event = event
        self._started_ns = perf_counter_ns()
        return self

    def _end(self, error: BaseException | None) -> None:
        ended_ns = perf_counter_ns()
        event, self._event = self._event, None
        if event is None:
            return
        try:
            self._fill(event, ended_ns)
            if error is not None:
                event.update(describe_failure(error))
        except Exception:
            # The event still says that the call took place.
            event.setdefault("status", "error" if error is not None else "ok")
        self._emit(event, self._texts or self._captured_texts)

    def _fill(self, event: Fields, ended_ns: int) -> None:
        event["duration_ms"] = (ended_ns - self._started_ns) / 1e6
        if self._captured is not None:
            self._merge(event, self._captured)
        if self._first_ns:
            event["ttft_ms"] = (self._first_ns - self._started_ns) / 1e6
        if self._chunks:
            event["chunks"] = self._chunks
            event["stream"] = True
            if self._chunks > 1:
                event["max_chunk_gap_ms"] = self._largest_gap_ns / 1e6
        if self._reasons:
            event["finish_reasons"] = self._reasons
        if "status" not in event:
            event["status"] = status_from(self._reasons or ())
        if "usage_source" not in event:
            # Null tokens on a call that succeeded are a gap to show, not a free call.
            has_usage = any(event.get(name) is not None for name in USAGE_FIELDS)
            event["usage_source"] = "provider" if has_usage else "missing"

    def _merge(self, event: Fields, captured: Fields) -> None:
        # Counts of two sources are never mixed: details of one may exceed totals of the other.
        is_counted = any(event.get(name) is not None for name in (*USAGE_FIELDS, "usage_source"))
        for name, value in captured.items():
            if is_counted and (name in USAGE_FIELDS or name == "usage_source"):
                continue
            if event.get(name) is None or (name in _ASKED and event[name] == "unknown"):
                event[name] = value

    # -- decorator --------------------------------------------------------------------------

    def __call__(self, function: Function) -> Function:
        """Return the function, recorded: plain, async, generator or async generator."""
        return RecordedFunctions(self._fresh, Recorder._begin, Recorder._end).wrap(function)

    def _fresh(self) -> Recorder:
        return Recorder(self._emit, self._new_id, self._template, self._settings)


current_recorder = _current.get
"""Returns the recorder of the block that runs here, None outside of all blocks."""


class EnclosingRequest:
    """The host's own block around a call of an instrumented client, whose event the call fills.

    The first call inside a block claims it, and fills its event when it ends. Calls that find it
    claimed, or that end after the block, have an event of their own.
    """

    __slots__ = ("_event", "_recorder")

    def __init__(self, recorder: Recorder, event: Fields) -> None:
        self._recorder = recorder
        self._event = event

    @classmethod
    def claim(cls, recorder: Recorder) -> EnclosingRequest | None:
        """Give the block's event to a call; None when another call has it already."""
        event = recorder._event
        if event is None or recorder._is_claimed:
            return None
        recorder._is_claimed = True
        return cls(recorder, event)

    def fill(self, fields: Fields, texts: CollectedTexts | None) -> bool:
        """Add what the client saw of the call; returns False when the block has ended."""
        recorder = self._recorder
        if recorder._event is not self._event:
            return False
        if fields.get("status") == "error":
            # The host may handle this and try elsewhere; whether the block failed is for it to say.
            fields = {name: fields[name] for name in fields if name not in _OF_A_FAILURE}
            recorder._is_claimed = False
        recorder._captured = fields
        recorder._captured_texts = texts
        return True


def current_request() -> Recorder:
    """Return the recorder of the innermost call being recorded here.

    Inside a decorated function this is how to report usage. Where nothing is being recorded it
    returns a recorder that ignores everything, so the caller needs no check.
    """
    return _current.get() or Recorder(_ignore, lambda _epoch_ns: "", {})


def _ignore(event: Fields, texts: CollectedTexts | None) -> None:
    """Take no notice of an event."""
