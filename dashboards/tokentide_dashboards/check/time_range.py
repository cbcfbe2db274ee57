"""The range of a board and the distance of its points, as Grafana computes them."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

__all__ = ["PANEL_POINTS", "TimeRange", "interval_ms"]

BELOW_MS = (
    10, 15, 35, 75, 150, 350, 750, 1_500, 3_500, 7_500, 12_500, 17_500, 25_000, 45_000, 90_000,
    210_000, 450_000, 750_000, 1_050_000, 1_500_000, 2_700_000, 5_400_000, 9_000_000, 16_200_000,
    32_400_000, 86_400_000, 604_800_000, 1_814_400_000, 3_628_800_000,
)  # fmt: skip
ROUNDED_MS = (
    1, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 60_000,
    120_000, 300_000, 600_000, 900_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000,
    21_600_000, 43_200_000, 86_400_000, 604_800_000, 2_592_000_000, 31_536_000_000,
)  # fmt: skip
"""What Grafana rounds an interval to: one longer than the bound before it, shorter than its own."""

PANEL_POINTS = 800
"""The width of a panel in pixels, and so how many points it asks for."""
UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What a board shows: [start, end], both inclusive, and the distance of its points."""

    start_ms: int
    end_ms: int
    interval_ms: int = 60_000

    @property
    def start_s(self) -> int:
        """The start in whole seconds, as macros write it."""
        return self.start_ms // 1_000

    @property
    def end_s(self) -> int:
        """The end in whole seconds."""
        return self.end_ms // 1_000

    @property
    def interval_s(self) -> int:
        """The distance of points in whole seconds, at least 1."""
        return max(self.interval_ms // 1_000, 1)

    @property
    def interval_text(self) -> str:
        """The distance of points as Grafana writes it: 30s, 5m, 2h."""
        for name, length_ms in UNITS_MS:
            if self.interval_ms >= length_ms and self.interval_ms % length_ms == 0:
                return f"{self.interval_ms // length_ms}{name}"
        return "1ms"


def interval_ms(range_ms: int, points: int, least: str = "1m") -> int:
    """Return the distance of points of a panel.

    Args:
        range_ms: Length of the range.
        points: At most so many: the width of the panel in pixels.
        least: The panel's `interval`.

    Raises:
        ValueError: `least` is no number with a unit.
    """
    for name, length_ms in sorted(UNITS_MS, key=lambda unit: -len(unit[0])):
        if least.endswith(name) and least.removesuffix(name).isdecimal():
            least_ms = int(least.removesuffix(name)) * length_ms
            break
    else:
        raise ValueError(f"the interval {least!r} is no number with a unit: write 30s, 1m or 1h")
    return max(ROUNDED_MS[bisect.bisect_right(BELOW_MS, range_ms / max(points, 1))], least_ms)
