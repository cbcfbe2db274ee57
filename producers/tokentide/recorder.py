"""One LLM call while it runs: a context manager and a decorator that end in one event.

Everything here runs on the host's thread, inside the host's own call. Invariant: whatever happens
to the call or to this code, the host's result or exception passes through untouched, and each
entered recorder emits exactly one event.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Any, Self

from tokentide.context import fill
from tokentide.decorating import Function, wrapped
from tokentide.failures import describe_failure
from tokentide.finish import normalise, status_from
from tokentide.log import RareLog
from tokentide.settings import Settings
from tokentide.trace_context import fill_trace
from tokentide.usage import USAGE_FIELDS

Emit = Callable[[dict[str, object]], None]

_current: ContextVar[Recorder | None] = ContextVar("tokentide_request", default=None)
_log = RareLog()
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
    )

    def __init__(
        self,
        emit: Emit,
        new_id: Callable[[int], str],
        template: dict[str, object],
        settings: Settings | None = None,
    ) -> None:
        self._emit = emit
        self._new_id = new_id
        self._template = template
        self._settings = settings
        self._captured: dict[str, object] | None = None
        self._is_claimed = False
        self._event: dict[str, object] | None = None
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

    def set(self, **fields: object) -> None:
        """Sets fields of the event, under the names of the event contract."""
        if self._event is not None:
            self._event.update(fields)

    def record_usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        usage_source: str = "provider",
        **details: object,
    ) -> None:
        """Records what the call consumed.

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
        counts = {"input_tokens": input_tokens, "output_tokens": output_tokens, **details}
        event.update((name, count) for name, count in counts.items() if count is not None)
        event["usage_source"] = usage_source

    def first_token(self) -> None:
        """Marks the moment the first token arrived; later calls change nothing."""
        if self._event is not None and self._first_ns == 0:
            self._first_ns = perf_counter_ns()

    def chunk(self) -> None:
        """Marks the arrival of one chunk of a streamed response; the first is the first token."""
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
        """Records what a provider's response says: usage, model, finish reasons, tier, refusal.

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
        except Exception as exc:
            _log.note("response", "a response could not be recorded: %r", exc)

    def record_content(self, *, input: object = None, output: object = None) -> None:
        """Hands over prompt and response for detectors and capture, where the settings ask for it.

        Args:
            input: A text, a list of messages, or the keyword arguments of a client's call.
            output: A text or a response.
        """
        if self._event is not None and self._settings is not None and self._settings.reads_content:
            from tokentide.content import capture

            capture(self._settings, self._event, input=input, output=output)

    def finish(self, *reasons: str) -> None:
        """Records why the model stopped, one raw reason of the provider per choice.

        A refusal or a content filter among them makes the status `refused` or `filtered`.
        """
        try:
            self._reasons = normalise(reasons)
        except Exception:
            self._reasons = None

    def record_error(self, error: BaseException) -> None:
        """Records a failure that the host handles itself, inside the block."""
        if self._event is not None:
            try:
                self._event.update(describe_failure(error))
            except Exception:
                self._event["status"] = "error"

    # -- measuring --------------------------------------------------------------------------

    def _begin(self) -> Self:
        self._chunks = self._first_ns = self._last_ns = self._largest_gap_ns = 0
        self._reasons = None
        self._captured = None
        self._is_claimed = False
        started_ns = time_ns()
        event: dict[str, object] = {"type": "request", **self._template}
        if self._settings is not None:
            fill(event, self._settings)
            fill_trace(event)
        event["started_at_us"] = started_ns // 1000
        self._event_id = event["event_id"] = self._new_id(started_ns)
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
        self._emit(event)

    def _claim(self) -> dict[str, object] | None:
        """Gives the running call to an instrumented client; None when it has one already."""
        if self._event is None or self._is_claimed:
            return None
        self._is_claimed = True
        return self._event

    def _take(self, claim: dict[str, object], fields: dict[str, object]) -> bool:
        """Takes what a client saw of the call it had claimed; False when the block has ended."""
        if self._event is not claim:
            return False
        if fields.get("status") == "error":
            # The host may handle this and try elsewhere; whether the block failed is for it to say.
            fields = {name: fields[name] for name in fields if name not in _OF_A_FAILURE}
            self._is_claimed = False
        self._captured = fields
        return True

    def _fill(self, event: dict[str, object], ended_ns: int) -> None:
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

    def _merge(self, event: dict[str, object], captured: dict[str, object]) -> None:
        # Counts of two sources are never mixed: details of one may exceed totals of the other.
        is_counted = any(event.get(name) is not None for name in (*USAGE_FIELDS, "usage_source"))
        for name, value in captured.items():
            if is_counted and (name in USAGE_FIELDS or name == "usage_source"):
                continue
            if event.get(name) is None or (name in _ASKED and event[name] == "unknown"):
                event[name] = value

    # -- decorator --------------------------------------------------------------------------

    def __call__(self, function: Function) -> Function:
        """Returns the function, recorded: plain, async, generator or async generator."""
        return wrapped(
            function,
            plain=self._wrap_plain,
            coroutine=self._wrap_coroutine,
            generator=self._wrap_generator,
            async_generator=self._wrap_async_generator,
        )

    def _fresh(self) -> Recorder:
        return Recorder(self._emit, self._new_id, self._template, self._settings)

    def _wrap_plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return recorded

    def _wrap_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def recorded(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return await function(*args, **kwargs)

        return recorded

    # A generator runs in the context of whoever iterates it, so the two below are not `current`
    # between items: setting the context variable would leak into the consumer.

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            recorder = self._fresh()._begin()
            error: BaseException | None = None
            try:
                return (yield from _counted(function(*args, **kwargs), recorder))
            except BaseException as exc:
                error = exc
                raise
            finally:
                recorder._end(error)
                del error  # the exception's traceback refers to this frame

        return recorded

    def _wrap_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def recorded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            recorder = self._fresh()._begin()
            error: BaseException | None = None
            items = function(*args, **kwargs)
            try:
                async for item in items:
                    recorder.chunk()
                    yield item
            except BaseException as exc:
                error = exc
                raise
            finally:
                recorder._end(error)
                del error
                await items.aclose()

        return recorded


def _counted(items: Generator[Any, Any, Any], recorder: Recorder) -> Generator[Any, Any, Any]:
    """Passes values and exceptions through in both directions; counts what comes out."""
    try:
        item = next(items)
        while True:
            recorder.chunk()
            try:
                sent = yield item
            except GeneratorExit:
                items.close()
                raise
            except BaseException as exc:
                item = items.throw(exc)
            else:
                item = items.send(sent)
    except StopIteration as end:
        return end.value


def current_request() -> Recorder:
    """Returns the recorder of the innermost call being recorded here.

    Inside a decorated function this is how to report usage. Where nothing is being recorded it
    returns a recorder that ignores everything, so the caller needs no check.
    """
    return _current.get() or Recorder(_ignore, lambda _epoch_ns: "", {})


def _ignore(event: dict[str, object]) -> None:
    """Takes no notice of an event."""
