"""Makes this package callable: `tokentide.instrument()` works whoever imported what first.

The name is both that of the function and that of the package; Python binds it to the package when
that is first imported.
"""

from __future__ import annotations

import sys
from types import ModuleType

from tokentide.instrument.api import instrument
from tokentide.telemetry import Telemetry


class _CallablePackage(ModuleType):
    """A package that is also the function `tokentide.instrument`."""

    def __call__(self, *, telemetry: Telemetry | None = None) -> Telemetry:
        return instrument(telemetry)


sys.modules["tokentide.instrument"].__class__ = _CallablePackage
