"""The anthropic package: messages and beta messages, with its Bedrock, Vertex and Foundry clients.

Those clients rewrite the path of a request inside, below the method that is patched, so all of them
look alike here and only the provider differs.
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
from tokentide.telemetry import Telemetry


def _is_content(event: Any) -> bool:
    return str(event.type).startswith("content_block")


_MESSAGES = Endpoint("anthropic_messages", is_token=_is_content)

API = Api(
    provider="anthropic",
    endpoints={"/v1/messages": _MESSAGES, "/v1/messages?beta=true": _MESSAGES},
    unrecorded={
        "/v1/messages/batches": "batch jobs",
        "/v1/complete": "text completions of the old API",
        "/v1/sessions": "sessions of hosted agents",
        "/v1/deployments": "runs of hosted agents",
        "/v1/dreams": "dreams of hosted agents",
    },
)


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""
    return recording_patches("anthropic", CallFactory(API, telemetry, patches), patches)


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow the calls of one client object."""
    return following_patches("anthropic", patches)


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Record the calls of one client object."""
    record_client(client, CallFactory(API, telemetry, patches))
