"""Automatic recording of provider clients, one module per client.

`tokentide.instrument` names both this package and the function that switches it on: the package
itself can be called, so that it does not matter who imported what first.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentide.telemetry import Telemetry


class _Callable(ModuleType):
    """A module that is also the function `tokentide.instrument`."""

    def __call__(self, *, telemetry: Telemetry | None = None) -> Telemetry:
        from tokentide.instrument.api import instrument

        return instrument(telemetry=telemetry)


sys.modules[__name__].__class__ = _Callable
