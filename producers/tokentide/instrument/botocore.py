"""botocore, and with it boto3: Amazon Bedrock's Converse and InvokeModel, with their streams.

Every operation of every service passes through one method; those of other services are told apart
by their name alone. Bodies belong to the host: they are looked at when the host has read them.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.call import Call, Fields, log
from tokentide.instrument.hosts import describe_server
from tokentide.instrument.imports import Action
from tokentide.instrument.methods import CALL, Function, Method, Recording, ending
from tokentide.instrument.patches import Patches
from tokentide.instrument.streams import watch
from tokentide.telemetry import Telemetry


def _wait_for_body(call: Call, response: Any) -> Any:
    """Ends the call when the host has read the body, with the headers alone if it never does."""
    body = response["body"]
    head = {name: value for name, value in response.items() if name != "body"}
    call.wait(lambda: head)
    body.__dict__[CALL] = call
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
    "Converse": Method("Converse", "bedrock_converse"),
    "ConverseStream": Method(
        "ConverseStream", "bedrock_converse", _wait_for_events("stream"), is_token=_is_content
    ),
    "InvokeModel": Method("InvokeModel", "bedrock_invoke", _wait_for_body),
    "InvokeModelWithResponseStream": Method(
        "InvokeModelWithResponseStream", "bedrock_invoke", _wait_for_events("body")
    ),
}


def describe(client: Any) -> Fields:
    """Returns who answers a client of bedrock-runtime."""
    described = describe_server(None, str(client.meta.endpoint_url), "aws.bedrock")
    return {**described, "provider": "aws.bedrock", "region": str(client.meta.region_name)}


def modules(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Returns what to do to which module of the package."""

    def clients(module: Any) -> None:
        patches.wrap(
            module.BaseClient,
            "_make_api_call",
            lambda original: _recording(original, telemetry, patches),
        )

    return {"botocore.client": clients, **following(patches)}


def following(patches: Patches) -> dict[str, Action]:
    """Returns what has to be patched to follow the calls of one client object."""

    def events(module: Any) -> None:
        patches.wrap(module.EventStream, "__iter__", _watching)
        patches.wrap(module.EventStream, "close", ending)

    def bodies(module: Any) -> None:
        patches.wrap(module.StreamingBody, "read", _reading)

    return {"botocore.eventstream": events, "botocore.response": bodies}


def one(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Records the calls of one client object."""
    wrapped = _recording(type(client)._make_api_call, telemetry, patches)
    client._make_api_call = wrapped.__get__(client)


def _recording(original: Function, telemetry: Telemetry, patches: Patches) -> Function:
    recordings = {
        name: Recording(method, describe, telemetry, patches)
        for name, method in _OPERATIONS.items()
    }

    def make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        recording = recordings.get(operation_name)
        call = None if recording is None else recording.begin(self, api_params)
        if recording is None or call is None:
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
        data = original(self, *args, **kwargs)
        call = self.__dict__.pop(CALL, None)
        if call is not None:
            _take_body(call, data, is_whole=not args and not kwargs)
        return data

    return read


def _take_body(call: Call, data: object, *, is_whole: bool) -> None:
    try:
        head = call.late() if call.late is not None else {}
        # In pieces, the host may read for ever: then the headers have to do.
        call.returned({**head, "body": data} if is_whole else head)  # type: ignore[dict-item]
    except Exception as exc:
        log.note("body", "a body could not be read: %r", exc)
