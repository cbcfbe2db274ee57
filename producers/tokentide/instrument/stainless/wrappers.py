"""Wrappers for the base classes of the clients that Stainless generates.

Each takes a function of the client and returns one that does the same, with the call's beginning or
end beside it. Whatever the client returns or raises passes through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokentide.instrument.call import Call, current_call
from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.stainless.endpoints import CallFactory, parsed
from tokentide.instrument.streams import CALL, Function, ends_on_close, ends_on_close_async


def recording(calls: CallFactory) -> Callable[[Function], Function]:
    """Return what wraps `request` of a synchronous base client."""

    def make(original: Function) -> Function:
        def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            call = calls.begin(self, options)
            if call is None:
                return original(self, cast_to, options, *args, **kwargs)
            current_call.set(call)
            try:
                response = original(self, cast_to, options, *args, **kwargs)
            except BaseException as exc:
                call.failed(exc)
                raise
            finally:
                current_call.set(None)  # as `begin` found it
            return calls.settle(call, response)

        return request

    return make


def recording_async(calls: CallFactory) -> Callable[[Function], Function]:
    """Return what wraps `request` of an asynchronous base client."""

    def make(original: Function) -> Function:
        async def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            call = calls.begin(self, options)
            if call is None:
                return await original(self, cast_to, options, *args, **kwargs)
            current_call.set(call)
            try:
                response = await original(self, cast_to, options, *args, **kwargs)
            except BaseException as exc:
                call.failed(exc)
                raise
            finally:
                current_call.set(None)  # as `begin` found it
            return calls.settle(call, response)

        return request

    return make


def counting_retries(original: Function) -> Function:
    """Wrap the pause before a retry, of either base client: without retries it costs nothing."""

    def sleep_for_retry(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = current_call.get()
        if isinstance(call, Call):
            call.retries += 1
        return original(self, *args, **kwargs)

    return sleep_for_retry


def parsing(original: Function) -> Function:
    """Wrap `parse` of a raw response."""

    def parse(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = original(self, *args, **kwargs)
        if CALL in self.__dict__:
            parsed(self, response)
        return response

    return parse


def parsing_async(original: Function) -> Function:
    """Wrap `parse` of a raw response whose body is read asynchronously."""

    async def parse(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = await original(self, *args, **kwargs)
        if CALL in self.__dict__:
            parsed(self, response)
        return response

    return parse


# -- the classes ----------------------------------------------------------------------------


def following_patches(package: str, patches: Patches) -> dict[str, Action]:
    """Return patches of a package's classes that follow calls which were begun elsewhere.

    They see streams and raw responses that are closed or parsed later, and the pauses before
    retries; without a call that is recorded they do nothing.
    """

    def streaming(module: Any) -> None:
        patches.wrap(module.Stream, "close", ends_on_close)
        patches.wrap(module.AsyncStream, "close", ends_on_close_async)

    def responses(module: Any) -> None:
        patches.wrap(module.APIResponse, "parse", parsing)
        patches.wrap(module.APIResponse, "close", ends_on_close)
        patches.wrap(module.AsyncAPIResponse, "parse", parsing_async)
        patches.wrap(module.AsyncAPIResponse, "close", ends_on_close_async)

    def legacy(module: Any) -> None:
        patches.wrap(module.LegacyAPIResponse, "parse", parsing)

    def base_client(module: Any) -> None:
        for kind in (module.SyncAPIClient, module.AsyncAPIClient):
            # The second is the name in versions that called themselves again for a retry.
            for name in ("_sleep_for_retry", "_retry_request"):
                patches.wrap(kind, name, counting_retries)

    return {
        f"{package}._base_client": base_client,
        f"{package}._streaming": streaming,
        f"{package}._response": responses,
        f"{package}._legacy_response": legacy,
    }


def recording_patches(package: str, calls: CallFactory, patches: Patches) -> dict[str, Action]:
    """Return patches that record every request of a package, its following_patches among them."""
    found = following_patches(package, patches)
    observe = found[f"{package}._base_client"]

    def base_client(module: Any) -> None:
        patches.wrap(module.SyncAPIClient, "request", recording(calls))
        patches.wrap(module.AsyncAPIClient, "request", recording_async(calls))
        observe(module)

    return {**found, f"{package}._base_client": base_client}


def record_client(client: Any, calls: CallFactory) -> None:
    """Record the requests of one client object and of the copies it makes of itself."""
    kind = type(client)
    is_async = any(base.__name__ == "AsyncAPIClient" for base in kind.__mro__)
    make = recording_async(calls) if is_async else recording(calls)
    client.request = make(kind.request).__get__(client)

    def copying(original: Function) -> Function:
        def copy(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            record_client(made, calls)
            return made

        return copy

    for name in ("copy", "with_options"):
        if hasattr(client, name):
            setattr(client, name, copying(getattr(client, name)))
