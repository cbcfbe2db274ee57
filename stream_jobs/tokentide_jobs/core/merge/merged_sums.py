"""Events and money of window deltas, exact: they are compared to the last digit.

`verify` reads this to compare, and does not wait for polars to be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import polars as pl

__all__ = ["NO_SUMS", "MergedSums", "sums_of"]


class MergedSums(NamedTuple):
    """What some deltas come to."""

    events: int = 0
    cost_pico_usd: int = 0

    def plus(self, other: MergedSums) -> MergedSums:
        """Return both together."""
        return MergedSums(self.events + other.events, self.cost_pico_usd + other.cost_pico_usd)

    def minus(self, other: MergedSums) -> MergedSums:
        """Return what is more here than in `other`."""
        return MergedSums(self.events - other.events, self.cost_pico_usd - other.cost_pico_usd)


NO_SUMS: Final = MergedSums()


def sums_of(rows: pl.DataFrame) -> MergedSums:
    """Return what rows with the columns `events` and `cost_pico_usd` come to."""
    return MergedSums(int(rows["events"].sum() or 0), int(rows["cost_pico_usd"].sum() or 0))
