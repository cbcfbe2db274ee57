"""Makes this package callable, so that the order of imports does not matter.

`tokentide.instrument` is the name of the function and of the package; Python binds it to the
package when that is first imported.
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
