"""The cohere package: chat, embeddings, rerank and, of its first API, classify.

What is patched are the raw clients that the others call, so that raw responses count as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from tokentide.instrument.call import Call, Fields
from tokentide.instrument.hosts import describe_server
from tokentide.instrument.methods import (
    Method,
    RecordedMethod,
    data_of,
    record_methods,
    record_methods_of,
)
from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.streams import Function, close_call, watch, watch_async
from tokentide.instrument.unrecorded import Unrecorded, counting_patches, note_calls
from tokentide.telemetry import Telemetry


def _has_content(event: Any) -> bool:
    kind = getattr(event, "type", None) or event.event_type  # second and first API
    return kind not in ("message-start", "stream-start")


_SYNC = (
    Method("chat", "cohere", data_of),
    Method("embed", "cohere", data_of, operation="embeddings"),
    Method("rerank", "cohere", data_of, operation="rerank"),
    Method("classify", "cohere", data_of, operation="classify"),
    Method("parse", "cohere", data_of, operation="ocr"),
    Method("generate", "cohere", data_of, operation="text_completion"),
    Method("summarize", "cohere", data_of, operation="text_completion"),
)
_ASYNC = (
    Method("chat", "cohere", data_of, is_async=True),
    Method("embed", "cohere", data_of, operation="embeddings", is_async=True),
    Method("rerank", "cohere", data_of, operation="rerank", is_async=True),
    Method("classify", "cohere", data_of, operation="classify", is_async=True),
    Method("parse", "cohere", data_of, operation="ocr", is_async=True),
    Method("generate", "cohere", data_of, operation="text_completion", is_async=True),
    Method("summarize", "cohere", data_of, operation="text_completion", is_async=True),
)
_STREAM = Method("chat_stream", "cohere", is_token=_has_content, is_stream=True)


_GENERATE_STREAM = Unrecorded(
    "cohere.raw_base_client",
    ("RawBaseCohere", "AsyncRawBaseCohere"),
    ("generate_stream",),
    "streams of `generate`",
)
_UNRECORDED = tuple(
    Unrecorded(f"cohere.{module}.raw_client", (f"Raw{kind}", f"AsyncRaw{kind}"), (method,), what)
    for module, kind, method, what in (
        ("batches", "BatchesClient", "create", "batch jobs"),
        ("embed_jobs", "EmbedJobsClient", "create", "embedding jobs"),
        ("finetuning", "FinetuningClient", "create_finetuned_model", "fine-tuning"),
        ("audio.transcriptions", "TranscriptionsClient", "create", "transcriptions"),
    )
)


_HOOKS = "cohere.aws_client"
"""Module of the functions that send requests to Amazon's servers instead."""


def describe(raw: Any) -> Fields:
    """Return who answers a raw client."""
    wrapper = raw._client_wrapper
    amazon = _describe_amazon(wrapper)
    return amazon or describe_server(None, str(wrapper.get_base_url()), "cohere")


def _describe_amazon(wrapper: Any) -> Fields:
    """Return service and region of a client for Bedrock or SageMaker, which has no address."""
    try:
        for hook in wrapper.httpx_client.httpx_client.event_hooks["request"]:
            if hook.__module__ == _HOOKS:
                values = (cell.cell_contents for cell in hook.__closure__)
                known = dict(zip(hook.__code__.co_freevars, values, strict=True))
                return {"provider": f"aws.{known['service']}", "region": str(known["aws_region"])}
    except Exception:
        return {}  # another layout, or a hook of the host's that is no function
    return {}


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""

    def recording(sync: str, asynchronous: str) -> Action:
        def raw_clients(module: Any) -> None:
            stream = RecordedMethod(_STREAM, describe, telemetry, patches)
            for name, methods, make in (
                (sync, _SYNC, _streaming),
                (asynchronous, _ASYNC, _streaming_async),
            ):
                owner = getattr(module, name)
                record_methods(owner, methods, describe, telemetry, patches)
                patches.wrap(owner, "chat_stream", make(stream))
            note_calls(module, (_GENERATE_STREAM,), "cohere", patches)

        return raw_clients

    return {
        "cohere.v2.raw_client": recording("RawV2Client", "AsyncRawV2Client"),
        "cohere.raw_base_client": recording("RawBaseCohere", "AsyncRawBaseCohere"),
        **counting_patches(_UNRECORDED, "cohere", patches),
    }


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object: nothing."""
    return {}


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    both = client.with_raw_response
    # `ClientV2` puts two raw clients behind one; `Client` has the second API at `v2`.
    inside = [vars(both)[name] for name in ("_v1", "_v2") if name in vars(both)]
    second = getattr(getattr(client, "v2", None), "with_raw_response", None)
    for raw in inside or (both, second):
        if raw is not None:
            _record(raw, telemetry, patches)


def _record(raw: Any, telemetry: Telemetry, patches: Patches) -> None:
    is_async = type(raw).__name__.startswith("Async")
    stream = RecordedMethod(_STREAM, describe, telemetry, patches)
    methods, make = (_ASYNC, _streaming_async) if is_async else (_SYNC, _streaming)
    record_methods_of(raw, methods, describe, telemetry, patches)
    raw.chat_stream = make(stream)(type(raw).chat_stream).__get__(raw)


def _streaming(recording: RecordedMethod) -> Callable[[Function], Function]:
    """Wrap a method that is a context manager around a response with a generator of events."""

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
                stack.callback(close_call, call)
                yield response

        return chat_stream

    return make


def _streaming_async(recording: RecordedMethod) -> Callable[[Function], Function]:
    """Wrap the asynchronous method of the same kind."""

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
                stack.callback(close_call, call)
                yield response

        return chat_stream

    return make


@contextlib.contextmanager
def _opening(call: Call) -> Iterator[None]:
    """Hold the call while the request is sent."""
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
