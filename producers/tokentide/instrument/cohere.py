"""The cohere package: chat, embeddings and rerank of its second API.

What is patched is the raw client that the ordinary one calls, so that raw responses count as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from tokentide.instrument.call import Call, Fields
from tokentide.instrument.hosts import describe_server
from tokentide.instrument.imports import Action
from tokentide.instrument.methods import (
    Function,
    Method,
    Recording,
    data_of,
    record_methods,
    record_methods_of,
)
from tokentide.instrument.patches import Patches
from tokentide.instrument.streams import left, watch, watch_async
from tokentide.telemetry import Telemetry


def _has_content(event: Any) -> bool:
    return str(event.type) != "message-start"


_SYNC = (
    Method("chat", "cohere", data_of),
    Method("embed", "cohere", data_of, operation="embeddings"),
    Method("rerank", "cohere", data_of, operation="rerank"),
)
_ASYNC = (
    Method("chat", "cohere", data_of, is_async=True),
    Method("embed", "cohere", data_of, operation="embeddings", is_async=True),
    Method("rerank", "cohere", data_of, operation="rerank", is_async=True),
)
_STREAM = Method("chat_stream", "cohere", is_token=_has_content, is_stream=True)


def describe(raw: Any) -> Fields:
    """Returns who answers a raw client."""
    return describe_server(None, str(raw._client_wrapper.get_base_url()), "cohere")


def modules(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Returns what to do to which module of the package."""

    def raw_clients(module: Any) -> None:
        recording = Recording(_STREAM, describe, telemetry, patches)
        record_methods(module.RawV2Client, _SYNC, describe, telemetry, patches)
        record_methods(module.AsyncRawV2Client, _ASYNC, describe, telemetry, patches)
        patches.wrap(module.RawV2Client, "chat_stream", _streaming(recording))
        patches.wrap(module.AsyncRawV2Client, "chat_stream", _streaming_async(recording))

    return {"cohere.v2.raw_client": raw_clients}


def following(patches: Patches) -> dict[str, Action]:
    """Returns what has to be patched to follow the calls of one client object: nothing."""
    return {}


def one(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Records the calls of one client object."""
    both = client.with_raw_response
    # `ClientV2` puts two raw clients behind one; `Client` has the second API at `v2`.
    raw = vars(both).get("_v2") or client.v2.with_raw_response
    is_async = type(raw).__name__.startswith("Async")
    recording = Recording(_STREAM, describe, telemetry, patches)
    methods, stream = (_ASYNC, _streaming_async) if is_async else (_SYNC, _streaming)
    record_methods_of(raw, methods, describe, telemetry, patches)
    raw.chat_stream = stream(recording)(type(raw).chat_stream).__get__(raw)


def _streaming(recording: Recording) -> Callable[[Function], Function]:
    """Wraps a method that is a context manager around a response with a generator of events."""

    def make(original: Function) -> Function:
        @contextlib.contextmanager
        def chat_stream(owner: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            call = recording.begin(owner, kwargs)
            if call is None:
                with original(owner, *args, **kwargs) as response:
                    yield response
                return
            opened = original(owner, *args, **kwargs)
            with _opening(call):
                response = opened.__enter__()
            _replace(response, watch(response.data, call))
            with contextlib.ExitStack() as stack:
                stack.push(opened.__exit__)
                stack.callback(left, call)
                yield response

        return chat_stream

    return make


def _streaming_async(recording: Recording) -> Callable[[Function], Function]:
    """Wraps the asynchronous method of the same kind."""

    def make(original: Function) -> Function:
        @contextlib.asynccontextmanager
        async def chat_stream(owner: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            call = recording.begin(owner, kwargs)
            if call is None:
                async with original(owner, *args, **kwargs) as response:
                    yield response
                return
            opened = original(owner, *args, **kwargs)
            with _opening(call):
                response = await opened.__aenter__()
            _replace(response, watch_async(response.data, call))
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_exit(opened.__aexit__)
                stack.callback(left, call)
                yield response

        return chat_stream

    return make


@contextlib.contextmanager
def _opening(call: Call) -> Iterator[None]:
    """Holds the call while the request is sent."""
    call.hold()
    try:
        yield
    except BaseException as exc:
        call.failed(exc)
        raise
    finally:
        call.release()


def _replace(response: Any, watched: Any) -> None:
    response._data = watched
