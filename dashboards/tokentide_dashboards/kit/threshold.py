"""Where a number becomes worth a look, in colours: boards and alert rules take the same limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokentide_dashboards.kit.json_value import Object

__all__ = ["Color", "Threshold"]

Color = Literal["green", "yellow", "orange", "red", "blue", "purple", "text", "transparent"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Colours of a number from its least value up.

    Attributes:
        steps: (from this value on, colour), ascending.
        base: Colour below the first step.
        mode: `percentage` counts from the least to the greatest value of the panel.
    """

    steps: tuple[tuple[float, Color], ...] = ()
    base: Color = "green"
    mode: Literal["absolute", "percentage"] = "absolute"

    def json(self) -> Object:
        """Return `thresholds` of a field."""
        first: Object = {"color": self.base, "value": None}
        return {
            "mode": self.mode,
            "steps": [first, *({"color": color, "value": value} for value, color in self.steps)],
        }
