"""botocore, and with it boto3: Amazon Bedrock's Converse and InvokeModel, with their streams.

Every operation of every service passes through one method; those of other services are recognised
by their name alone. Bodies belong to the host: what it reads of them is what is looked at.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.call import Call, Fields, log
from tokentide.instrument.hosts import describe_server
from tokentide.instrument.methods import Method, RecordedMethod
from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.streams import CALL, Function, ends_on_close, watch
from tokentide.instrument.unrecorded import note_unrecorded
from tokentide.telemetry import Telemetry

_MAX_KEPT = 256 * 1024
"""Bytes kept of a body; longer ones are not parsed, since their counts are in the headers."""
_PIECES = "_tokentide_pieces"
"""Attribute of a body: what the host has read of it."""
_ROOM = "_tokentide_room"
"""Attribute of a body: how many more bytes are kept."""


def _wait_for_body(call: Call, response: Any) -> Any:
    """End the call when the host has read the body, with what it read if it leaves it before."""
    body = response["body"]
    head = {name: value for name, value in response.items() if name != "body"}
    pieces: list[bytes] = []
    call.wait(lambda: {**head, "body": b"".join(pieces)} if pieces else head)
    body.__dict__.update({CALL: call, _PIECES: pieces, _ROOM: _MAX_KEPT})
    return response


def _wait_for_events(name: str) -> Any:
    def follow(call: Call, response: Any) -> Any:
        stream = response[name]
        call.opening = {key: value for key, value in response.items() if key != name}
        stream.__dict__[CALL] = call
        return response

    return follow


def _is_content(event: Any) -> bool:
    return "messageStart" not in event


_OPERATIONS = {
    method.name: method
    for method in (
        Method("Converse", "bedrock_converse"),
        Method(
            "ConverseStream",
            "bedrock_converse",
            _wait_for_events("stream"),
            is_token=_is_content,
            is_stream=True,
        ),
        Method("InvokeModel", "bedrock_invoke", _wait_for_body),
        Method(
            "InvokeModelWithResponseStream",
            "bedrock_invoke",
            _wait_for_events("body"),
            is_stream=True,
        ),
    )
}


_UNRECORDED = {
    "ApplyGuardrail": "guardrails applied by themselves",
    "CreateModelInvocationJob": "batch jobs",
    "InvokeAgent": "agents",
    "InvokeFlow": "flows",
    "InvokeInlineAgent": "agents",
    "OptimizePrompt": "optimizations of prompts",
    "RetrieveAndGenerate": "answers from knowledge bases",
    "RetrieveAndGenerateStream": "answers from knowledge bases",
    "StartAsyncInvoke": "asynchronous invocations",
}
"""Operations that cost money without being recorded; no other service has these names."""


def describe(client: Any) -> Fields:
    """Return who answers a client of bedrock-runtime."""
    described = describe_server(None, str(client.meta.endpoint_url), "aws.bedrock")
    return {**described, "provider": "aws.bedrock", "region": str(client.meta.region_name)}


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""

    def clients(module: Any) -> None:
        patches.wrap(
            module.BaseClient,
            "_make_api_call",
            lambda original: _recording(original, telemetry, patches),
        )

    return {"botocore.client": clients, **following_by_module(patches)}


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object."""

    def events(module: Any) -> None:
        patches.wrap(module.EventStream, "__iter__", _watching)
        patches.wrap(module.EventStream, "close", ends_on_close)

    def bodies(module: Any) -> None:
        patches.wrap(module.StreamingBody, "read", _reading)
        patches.wrap(module.StreamingBody, "readinto", _reading_into)

    return {"botocore.eventstream": events, "botocore.response": bodies}


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    wrapped = _recording(type(client)._make_api_call, telemetry, patches)
    client._make_api_call = wrapped.__get__(client)


def recordings_of(telemetry: Telemetry, patches: Patches) -> dict[str, RecordedMethod]:
    """Return how each operation is recorded that costs tokens."""
    return {
        name: RecordedMethod(method, describe, telemetry, patches)
        for name, method in _OPERATIONS.items()
    }


def note_operation(name: str) -> None:
    """Say once that an operation costs money and is not recorded."""
    if name in _UNRECORDED:
        note_unrecorded(_UNRECORDED[name], "Amazon Bedrock")


def _recording(original: Function, telemetry: Telemetry, patches: Patches) -> Function:
    recordings = recordings_of(telemetry, patches)

    def make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        recording = recordings.get(operation_name)
        call = None if recording is None else recording.begin(self, api_params)
        if recording is None or call is None:
            note_operation(operation_name)
            return original(self, operation_name, api_params)
        call.hold()
        try:
            response = original(self, operation_name, api_params)
        except BaseException as exc:
            call.failed(exc)
            raise
        finally:
            call.release()
        return recording.settle(call, response)

    return make_api_call


def _watching(original: Function) -> Function:
    def __iter__(self: Any) -> Any:
        events = original(self)
        call = self.__dict__.get(CALL)
        return events if call is None or call.is_streaming else watch(events, call)

    return __iter__


def _reading(original: Function) -> Function:
    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_watched(self):
            return original(self, *args, **kwargs)
        data = _noting_failure(original, self, *args, **kwargs)
        take_all(self, data, args[0] if args else kwargs.get("amt"))
        return data

    return read


def _reading_into(original: Function) -> Function:
    def readinto(self: Any, target: Any) -> Any:
        if not is_watched(self):
            return original(self, target)
        size = _noting_failure(original, self, target)
        if size > 0:
            take(self, bytes(memoryview(target).cast("B")[:size]), is_end=False)
        return size

    return readinto


def _noting_failure(original: Function, body: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return original(body, *args, **kwargs)
    except BaseException as exc:
        body.__dict__.pop(CALL).failed(exc)
        raise


def is_watched(body: Any) -> bool:
    """Return whether a body belongs to a call that has not ended."""
    return CALL in body.__dict__


def take_all(body: Any, data: bytes, asked: int | None) -> None:
    """Keep what one `read` of so many bytes gave; reading nothing is the end."""
    take(body, data, is_end=asked is None or (not data and asked != 0))


def take(body: Any, data: bytes, *, is_end: bool) -> None:
    """Keep what the host has read; ends the call at the end of the body."""
    try:
        own = body.__dict__
        own[_ROOM] -= len(data)
        pieces = own[_PIECES]
        if own[_ROOM] < 0:
            pieces.clear()
        elif data:
            pieces.append(data)
        if is_end:
            call = own.pop(CALL)
            call.closed()
    except Exception as exc:
        log.report("body", "a body could not be read: %r", exc)
