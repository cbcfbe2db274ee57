"""The litellm package, through the callback it offers: see `tokentide.bridges.litellm`.

What litellm sends through a client that is patched as well is one event all the same: that of the
layer that reports it first.
"""

from __future__ import annotations

from typing import Any

from tokentide.instrument.patching import Action, Patches
from tokentide.telemetry import Telemetry


def patches_by_module(telemetry: Telemetry, patches: Patches) -> dict[str, Action]:
    """Return what to do to which module of the package."""

    def register(module: Any) -> None:
        from tokentide.bridges.litellm import TokentideLogger

        logger = TokentideLogger(telemetry)
        module.callbacks.append(logger)
        patches.on_undo(lambda: module.callbacks.remove(logger))

    return {"litellm": register}


def following_by_module(patches: Patches) -> dict[str, Action]:
    """Return what has to be patched to follow one client object: there are none."""
    return {}


def record_object(client: Any, telemetry: Telemetry, patches: Patches) -> None:
    """Do nothing: litellm is a module of functions."""
