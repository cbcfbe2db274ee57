"""The clients that can be instrumented; each has a module here, loaded when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, cast

from tokentide.instrument.patches import Patches
from tokentide.telemetry import Telemetry

CLIENTS: tuple[str, ...] = (
    "openai",
    "anthropic",
    "google_genai",
    "botocore",
    "mistralai",
    "cohere",
    "litellm",
)
"""Modules of this package, one per client."""

CLIENTS_BY_PACKAGE: dict[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google_genai",
    "botocore": "botocore",
    "mistralai": "mistralai",
    "cohere": "cohere",
}
"""Package that a client object's class comes from, and the module that knows it."""


class Instrumentation(Protocol):
    """What each client's module offers."""

    def modules(self, telemetry: Telemetry, patches: Patches) -> dict[str, Callable[[Any], None]]:
        """Returns what to do to which module of the client's package, once it is imported."""

    def following(self, patches: Patches) -> dict[str, Callable[[Any], None]]:
        """Returns what has to be patched to follow the calls of one client object."""

    def one(self, client: Any, telemetry: Telemetry, patches: Patches) -> None:
        """Records the calls of one client object, of which its own attributes are replaced."""


def load(name: str) -> Instrumentation:
    """Returns the module of one client."""
    return cast("Instrumentation", import_module(f"tokentide.instrument.{name}"))
