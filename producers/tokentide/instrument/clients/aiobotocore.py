"""aiobotocore, and with it aioboto3: the same operations of Amazon Bedrock, awaited.

Its client, bodies and streams are classes of its own beside botocore's; what is read of them is
what is read of botocore's.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.clients import botocore
from tokentide.instrument.clients.botocore import is_watched, recordings_of, take, take_all
from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.streams import CALL, Function, watch_async
from tokentide.telemetry import Telemetry

_BODIES = ("AioStreamingBody", "AioHttpxStreamingBody", "StreamingBody", "HttpxStreamingBody")
"""Bodies of version 3 and of those before."""


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""

    def clients(module: Any) -> None:
        patches.wrap(
            module.AioBaseClient,
            "_make_api_call",
            lambda original: _recording(original, telemetry, patches),
        )

    return {"aiobotocore.client": clients, **following_by_module(patches)}


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object."""

    def events(module: Any) -> None:
        patches.wrap(module.AioEventStream, "__aiter__", _watching)

    def bodies(module: Any) -> None:
        for name in _BODIES:
            kind = getattr(module, name, None)
            if kind is not None:
                patches.wrap(kind, "read", _reading)
                patches.wrap(kind, "readinto", _reading_into)

    return {
        "aiobotocore.eventstream": events,
        "aiobotocore.response": bodies,
        # Streams close by a method of botocore's.
        **botocore.following_by_module(patches),
    }


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    wrapped = _recording(type(client)._make_api_call, telemetry, patches)
    client._make_api_call = wrapped.__get__(client)


def _recording(original: Function, telemetry: Telemetry, patches: Patches) -> Function:
    recordings = recordings_of(telemetry, patches)

    async def make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        recording = recordings.get(operation_name)
        call = None if recording is None else recording.begin(self, api_params)
        if recording is None or call is None:
            botocore.note_operation(operation_name)
            return await original(self, operation_name, api_params)
        call.hold()
        try:
            response = await original(self, operation_name, api_params)
        except BaseException as exc:
            call.failed(exc)
            raise
        finally:
            call.release()
        return recording.settle(call, response)

    return make_api_call


def _watching(original: Function) -> Function:
    def __aiter__(self: Any) -> Any:
        events = original(self)
        call = self.__dict__.get(CALL)
        return events if call is None or call.is_streaming else watch_async(events, call)

    return __aiter__


def _reading(original: Function) -> Function:
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_watched(self):
            return await original(self, *args, **kwargs)
        data = await _noting_failure(original, self, *args, **kwargs)
        take_all(self, data, args[0] if args else kwargs.get("amt"))
        return data

    return read


def _reading_into(original: Function) -> Function:
    async def readinto(self: Any, target: Any) -> Any:
        if not is_watched(self):
            return await original(self, target)
        size = await _noting_failure(original, self, target)
        if size > 0:
            take(self, bytes(memoryview(target).cast("B")[:size]), is_end=False)
        return size

    return readinto


async def _noting_failure(original: Function, body: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return await original(body, *args, **kwargs)
    except BaseException as exc:
        body.__dict__.pop(CALL).failed(exc)
        raise
