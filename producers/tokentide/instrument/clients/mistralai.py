"""The mistralai package: chat, agents, conversations, responses, embeddings, documents and speech.

The package repeats requests inside its transport and does not say so: `retry_count` stays absent.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.call import Call, Fields
from tokentide.instrument.hosts import describe_server
from tokentide.instrument.methods import Method, record_methods, record_methods_of
from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.streams import (
    CALL,
    ends_on_close,
    ends_on_close_async,
    watch,
    watch_async,
)
from tokentide.instrument.unrecorded import Unrecorded, counting_patches
from tokentide.telemetry import Telemetry


def _watched(call: Call, stream: Any) -> Any:
    stream.generator = watch(stream.generator, call)
    setattr(stream, CALL, call)
    return stream


def _watched_async(call: Call, stream: Any) -> Any:
    stream.generator = watch_async(stream.generator, call)
    setattr(stream, CALL, call)
    return stream


def _either(call: Call, result: Any) -> Any:
    """Follow the result of a method whose arguments say whether it is a stream."""
    generator = getattr(result, "generator", None)
    if generator is None:
        call.returned(result)
        return result
    return (_watched_async if hasattr(generator, "__anext__") else _watched)(call, result)


def _is_output(event: Any) -> bool:
    return str(event.data.type).startswith(("message.output", "function.call"))


_COMPLETIONS = (
    Method("complete", "mistral"),
    Method("complete_async", "mistral", is_async=True),
    Method("stream", "mistral", _watched, is_stream=True),
    Method("stream_async", "mistral", _watched_async, is_async=True, is_stream=True),
)
_EMBEDDINGS = (
    Method("create", "mistral", operation="embeddings"),
    Method("create_async", "mistral", operation="embeddings", is_async=True),
)
_OCR = (
    Method("process", "mistral", operation="ocr"),
    Method("process_async", "mistral", operation="ocr", is_async=True),
)
_TRANSCRIPTIONS = (
    Method("complete", "mistral", operation="transcription"),
    Method("complete_async", "mistral", operation="transcription", is_async=True),
    Method("stream", "mistral", _watched, operation="transcription", is_stream=True),
    Method(
        "stream_async",
        "mistral",
        _watched_async,
        operation="transcription",
        is_async=True,
        is_stream=True,
    ),
)
_CONVERSATIONS = tuple(
    method
    for name in ("start", "append", "restart")
    for method in (
        Method(name, "mistral"),
        Method(f"{name}_async", "mistral", is_async=True),
        Method(f"{name}_stream", "mistral", _watched, is_token=_is_output, is_stream=True),
        Method(
            f"{name}_stream_async",
            "mistral",
            _watched_async,
            is_token=_is_output,
            is_async=True,
            is_stream=True,
        ),
    )
)
_RESPONSES = (
    Method("create", "mistral", _either),
    Method("create_async", "mistral", _either, is_async=True),
)
_SPEECH = (
    Method("complete", "openai_speech", _either),
    Method("complete_async", "openai_speech", _either, is_async=True),
)
_RESOURCES = (
    ("chat", "Chat", _COMPLETIONS),
    ("agents", "Agents", _COMPLETIONS),
    ("fim", "Fim", _COMPLETIONS),
    ("embeddings", "Embeddings", _EMBEDDINGS),
    ("ocr", "Ocr", _OCR),
    ("transcriptions", "Transcriptions", _TRANSCRIPTIONS),
    ("conversations", "Conversations", _CONVERSATIONS),
    ("responses", "Responses", _RESPONSES),
    ("speech", "Speech", _SPEECH),
)
_GROUPS = {"transcriptions": "audio", "speech": "audio", "conversations": "beta"}
"""Resource, and the attribute of the client that has it."""
_LAYOUTS = (
    "mistralai.client",
    "mistralai.azure.client",
    "mistralai.gcp.client",
    "mistralai",
    "mistralai_azure",
    "mistralai_gcp",
)
"""Where the resources are in version 2 and later, and before."""

_UNRECORDED = tuple(
    Unrecorded(f"{layout}.{module}", (kind,), (*names, *(f"{n}_async" for n in names)), what)
    for layout in _LAYOUTS
    for module, kind, names, what in (
        # Jobs are batches in version 2 and later, and fine-tuning before.
        ("jobs", "Jobs", ("create",), "batch jobs and fine-tuning"),
        ("mistral_jobs", "MistralJobs", ("create",), "batch jobs and fine-tuning"),
        (
            "classifiers",
            "Classifiers",
            ("moderate", "moderate_chat", "classify", "classify_chat"),
            "moderation and classifiers",
        ),
        ("realtime_sessions", "RealtimeSessions", ("create",), "realtime sessions"),
    )
)


def describe(resource: Any) -> Fields:
    """Return who answers a resource of the client."""
    address, _variables = resource.sdk_configuration.get_server_details()
    return describe_server(None, str(address), "mistral_ai")


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""

    def recording(kind: str, methods: tuple[Method, ...]) -> Action:
        return lambda module: record_methods(
            getattr(module, kind), methods, describe, telemetry, patches
        )

    return {
        **{
            f"{layout}.{name}": recording(kind, methods)
            for layout in _LAYOUTS
            for name, kind, methods in _RESOURCES
        },
        **counting_patches(_UNRECORDED, "mistralai", patches),
        **following_by_module(patches),
    }


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object."""

    def streaming(module: Any) -> None:
        for kind, wrapper in (
            ("EventStream", ends_on_close),
            ("EventStreamAsync", ends_on_close_async),
        ):
            owner = getattr(module, kind)
            # Versions before 2 have no `close`, only the end of a `with` block.
            name = "close" if hasattr(owner, "close") else "__exit__"
            name = name if hasattr(owner, name) else "__aexit__"
            patches.wrap(owner, name, wrapper)

    return {f"{layout}.utils.eventstreaming": streaming for layout in _LAYOUTS}


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    for name, _kind, methods in _RESOURCES:
        group = getattr(client, _GROUPS[name], None) if name in _GROUPS else client
        resource = getattr(group, name, None)
        if resource is not None:
            record_methods_of(resource, methods, describe, telemetry, patches)
