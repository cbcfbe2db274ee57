"""Switching instrumentation on and off, for the process or for one client object.

No network, no name resolution, no broker: patching is all that happens here, and the background
thread starts with the first event. A bad setting raises here, at the start of the service, and
nothing raises afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, cast

from tokentide.control.states import RunState
from tokentide.instrument.patching import ImportWatch, Patches
from tokentide.log import logger
from tokentide.telemetry import Telemetry

CLIENTS: tuple[str, ...] = (
    "openai",
    "anthropic",
    "google_genai",
    "botocore",
    "aiobotocore",
    "mistralai",
    "cohere",
    "litellm",
)
"""Modules of `tokentide.instrument.clients`, loaded when they are needed."""

CLIENTS_BY_PACKAGE: dict[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google_genai",
    "botocore": "botocore",
    "aiobotocore": "aiobotocore",
    "mistralai": "mistralai",
    "cohere": "cohere",
}
"""Package that a client object's class comes from, and the module that knows it."""


class Instrumentation(Protocol):
    """What each client's module offers."""

    def patches_by_module(
        self, telemetry: Telemetry, patches: Patches
    ) -> dict[str, Callable[[Any], None]]:
        """Return what to do to which module of the client's package, once it is imported."""

    def following_by_module(self, patches: Patches) -> dict[str, Callable[[Any], None]]:
        """Return what has to be patched to follow the calls of one client object."""

    def record_object(self, client: Any, telemetry: Telemetry, patches: Patches) -> None:
        """Record the calls of one client object, of which its own attributes are replaced."""


def _load(name: str) -> Instrumentation:
    """Return the module of one client."""
    return cast("Instrumentation", import_module(f"tokentide.instrument.clients.{name}"))


class _State:
    """What this process has instrumented."""

    def __init__(self) -> None:
        self.default: Telemetry | None = None
        self.telemetry: Telemetry | None = None
        self.patches = Patches()
        self.imports = ImportWatch()
        # For single clients: these stay, since a client object cannot be found again.
        self.single_patches = Patches()
        self.single_imports = ImportWatch()


_state = _State()
_lock = threading.Lock()


def current_run_state() -> RunState:
    """Do what `tokentide.current_run_state` says."""
    telemetry = _state.telemetry or _state.default
    if telemetry is None:
        return RunState(run="", reason="call tokentide.instrument() first, or ask a Telemetry")
    return telemetry.run_state()


def instrument(telemetry: Telemetry | None) -> Telemetry:
    """Do what `tokentide.instrument` says."""
    with _lock:
        if _state.telemetry is not None:
            if telemetry not in (None, _state.telemetry):
                logger.warning("instrument() was called before; its first producer stays in use")
            return _state.telemetry
        chosen = telemetry or _default()
        _state.telemetry = chosen
        if chosen.settings.disabled:
            return chosen
        _state.patches = patches = Patches()
        for client in CLIENTS:
            for module, action in _load(client).patches_by_module(chosen, patches).items():
                _state.imports.when_imported(module, action)
        return chosen


def uninstrument() -> None:
    """Do what `tokentide.uninstrument` says."""
    with _lock:
        _state.imports.stop()
        _state.patches.undo()
        _state.telemetry = None


def instrument_client(client: object, telemetry: Telemetry | None) -> None:
    """Do what `tokentide.instrument_client` says."""
    packages = [base.__module__.partition(".")[0] for base in type(client).__mro__]
    name = next((CLIENTS_BY_PACKAGE[p] for p in packages if p in CLIENTS_BY_PACKAGE), None)
    if name is None:
        raise TypeError(
            f"client of type {type(client).__module__}.{type(client).__qualname__} is not known; "
            f"give a client of {', '.join(sorted(CLIENTS_BY_PACKAGE))}"
        )
    with _lock:
        chosen = telemetry or _state.telemetry or _default()
        if not chosen.settings.disabled:
            known = _load(name)
            for module, action in known.following_by_module(_state.single_patches).items():
                _state.single_imports.when_imported(module, action)
            known.record_object(client, chosen, _state.single_patches)


def _default() -> Telemetry:
    if _state.default is None:
        _state.default = Telemetry()
    return _state.default
