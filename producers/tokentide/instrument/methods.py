"""Methods of clients that are patched one by one: those that no single request method serves.

Each patched method gets a `Method`: how to read it, and how its result goes back to the host,
whole, or as a stream that is watched from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tokentide.instrument.call import Call, Fields, IsToken, any_chunk, begin, current_call, log
from tokentide.instrument.patching import Patches
from tokentide.instrument.streams import Function, watch_async, watch_lazy
from tokentide.telemetry import Telemetry, producer_of
from tokentide.usage.flavour import flavour

Describe = Callable[[Any], Fields]
"""Returns provider and server of the object that a method belongs to."""
Follow = Callable[[Call, Any], Any]
"""Ends the call with its result, or lets it go on; returns what the host gets."""


def whole(call: Call, response: Any) -> Any:
    """End the call with a whole response."""
    call.returned(response)
    return response


def lazy_stream(call: Call, chunks: Any) -> Any:
    """Watch a generator that sends its request when it is first advanced."""
    return watch_lazy(chunks, call)


def async_stream(call: Call, chunks: Any) -> Any:
    """Watch an asynchronous generator whose request was sent already."""
    return watch_async(chunks, call)


def data_of(call: Call, response: Any) -> Any:
    """End the call with the data that a client's raw response carries."""
    call.returned(response.data)
    return response


@dataclass(frozen=True, slots=True)
class Method:
    """One method that costs tokens.

    Attributes:
        name: Its name on the class.
        flavour: How to read it.
        follow: What becomes of its result.
        operation: The event's operation when it differs from the flavour's.
        is_token: Tells which chunk of a stream brings output.
        is_async: Whether it is a coroutine function.
        is_stream: Whether its result is a stream, which no argument says.
    """

    name: str
    flavour: str
    follow: Follow = whole
    operation: str = ""
    is_token: IsToken = any_chunk
    is_async: bool = False
    is_stream: bool = False


class RecordedMethod:
    """Records calls of one method, for one producer."""

    __slots__ = ("_describe", "_method", "_patches", "_producer")

    def __init__(
        self, method: Method, describe: Describe, telemetry: Telemetry, patches: Patches
    ) -> None:
        self._method = method
        self._describe = describe
        self._producer = producer_of(telemetry)
        self._patches = patches

    def begin(self, owner: Any, request: Mapping[str, object]) -> Call | None:
        """Return the call that begins here, None when it is not to be recorded; never raises."""
        try:
            if current_call.get() is not None or not self._patches.is_on:
                return None
            method = self._method
            how = flavour(method.flavour)
            template: Fields = {
                "type": "request",
                "request_model": "unknown",
                "operation": method.operation or how.operation,
                **self._describe(owner),
            }
            if method.is_stream:
                template["stream"] = True
            call = begin(self._producer, template, how, request)
            if call is not None:
                call.is_token = method.is_token
            return call
        except Exception as exc:
            log.report("client", "a call is not recorded: %r", exc)
            return None

    def settle(self, call: Call, result: Any) -> Any:
        """Return what the host gets; never raises."""
        try:
            return self._method.follow(call, result)
        except Exception as exc:
            log.report("settle", "a response could not be followed: %r", exc)
            return result

    def around(self, original: Function) -> Function:
        """Wrap the method as a plain function or a coroutine function."""
        return self._around_coroutine(original) if self._method.is_async else self._plain(original)

    def _plain(self, original: Function) -> Function:
        def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
            call = self.begin(owner, kwargs)
            if call is None:
                return original(owner, *args, **kwargs)
            call.hold()
            try:
                result = original(owner, *args, **kwargs)
            except BaseException as exc:
                call.failed(exc)
                raise
            finally:
                call.release()
            return self.settle(call, result)

        return method

    def _around_coroutine(self, original: Function) -> Function:
        async def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
            call = self.begin(owner, kwargs)
            if call is None:
                return await original(owner, *args, **kwargs)
            call.hold()
            try:
                result = await original(owner, *args, **kwargs)
            except BaseException as exc:
                call.failed(exc)
                raise
            finally:
                call.release()
            return self.settle(call, result)

        return method


def record_methods(
    owner: Any,
    methods: tuple[Method, ...],
    describe: Describe,
    telemetry: Telemetry,
    patches: Patches,
) -> None:
    """Patch the methods of a class that are there."""
    for method in methods:
        patches.wrap(
            owner, method.name, RecordedMethod(method, describe, telemetry, patches).around
        )


def record_methods_of(
    instance: Any,
    methods: tuple[Method, ...],
    describe: Describe,
    telemetry: Telemetry,
    patches: Patches,
) -> None:
    """Replace the methods of one object that it has."""
    for method in methods:
        original = getattr(type(instance), method.name, None)
        if callable(original):
            wrapped = RecordedMethod(method, describe, telemetry, patches).around(original)
            setattr(instance, method.name, wrapped.__get__(instance))
