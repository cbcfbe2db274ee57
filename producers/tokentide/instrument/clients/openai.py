"""The openai package: chat, responses, embeddings, speech, images; Azure's clients too.

Every server that speaks this API is reached through this package, so the provider is judged by the
client's address.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.patching import Action, Patches
from tokentide.instrument.stainless.endpoints import Api, CallFactory, Endpoint
from tokentide.instrument.stainless.wrappers import (
    following_patches,
    record_client,
    recording_patches,
)
from tokentide.instrument.streams import ends_on_close, ends_on_close_async
from tokentide.instrument.unrecorded import Unrecorded, counting_patches
from tokentide.telemetry import Telemetry

_OPENING = frozenset({"response.created", "response.in_progress", "response.queued"})
"""Events of a response that has begun and says nothing yet; reasoning may take minutes."""


def _has_choices(chunk: Any) -> bool:
    # Azure sends the verdict on the prompt first, in a chunk without choices.
    return bool(chunk.choices)


def _is_past_opening(event: Any) -> bool:
    return event.type not in _OPENING


_CHAT = Endpoint(
    "openai_chat",
    is_token=_has_choices,
    by_provider={"perplexity": "perplexity", "x_ai": "xai", "mistral_ai": "mistral"},
    takes_include_usage=True,
)
_TEXT = Endpoint(
    "openai_chat",
    is_token=_has_choices,
    operation="text_completion",
    takes_include_usage=True,
)
_RESPONSES = Endpoint("openai_responses", is_token=_is_past_opening)

API = Api(
    provider="openai",
    endpoints={
        "/chat/completions": _CHAT,
        "/completions": _TEXT,
        "/responses": _RESPONSES,
        "/responses?beta=true": _RESPONSES,
        "/responses/compact": _RESPONSES,
        "/responses/compact?beta=true": _RESPONSES,
        "/embeddings": Endpoint("openai_embeddings"),
        "/audio/transcriptions": Endpoint("openai_transcription"),
        "/audio/translations": Endpoint("openai_transcription"),
        "/images/generations": Endpoint("openai_images"),
        "/images/edits": Endpoint("openai_images"),
        "/images/variations": Endpoint("openai_images"),
        "/audio/speech": Endpoint("openai_speech"),
    },
    unrecorded={
        "/batches": "batch jobs",
        "/fine_tuning": "fine-tuning",
        "/evals": "evaluation runs",
        "/threads": "runs of assistants",
        "/agents": "sessions of hosted agents",
        "/realtime": "realtime sessions",
        "/live": "live sessions",
        "/decisions": "decisions",
        "/containers": "containers",
        "/chatkit": "chat sessions",
        "/videos": "videos",
    },
)

_SOCKETS = tuple(
    Unrecorded(f"openai.resources.{module}", (kind, f"Async{kind}"), ("connect",), what)
    for module, kind, what in (
        ("responses.responses", "Responses", "responses over WebSockets"),
        ("beta.responses.responses", "Responses", "responses over WebSockets"),
        ("realtime.realtime", "Realtime", "realtime sessions"),
        ("realtime.translations.translations", "Translations", "realtime sessions"),
        ("beta.realtime.realtime", "Realtime", "realtime sessions"),
        ("live.live", "Live", "live sessions"),
        ("live.forks", "Forks", "live sessions"),
        ("live.sideband", "Sideband", "live sessions"),
    )
)
"""What passes no request that is seen here."""


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""
    calls = CallFactory(API, telemetry, patches)
    return {
        **recording_patches("openai", calls, patches),
        **counting_patches(_SOCKETS, "openai", patches),
        **_helpers(patches),
    }


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object."""
    return {**following_patches("openai", patches), **_helpers(patches)}


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    record_client(client, CallFactory(API, telemetry, patches))


def _helpers(patches: Patches) -> dict[str, Action]:
    """Return patches of the `.stream()` helpers, which close the connection themselves."""

    def closing(name: str) -> Action:
        def patch(module: Any) -> None:
            patches.wrap(getattr(module, name), "close", ends_on_close)
            patches.wrap(getattr(module, f"Async{name}"), "close", ends_on_close_async)

        return patch

    return {
        "openai.lib.streaming.chat._completions": closing("ChatCompletionStream"),
        "openai.lib.streaming.responses._responses": closing("ResponseStream"),
    }
