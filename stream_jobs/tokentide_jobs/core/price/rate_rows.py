"""Resolved prices as rows of numbers: what the vectorised path gathers from.

Each distinct call (provider, models, tenant, service, validity interval) is resolved once per
process and becomes one row per long-context band. Rows are values: extending them makes new ones,
so threads that price at the same time can at worst resolve a key twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tokentide_jobs.core.price.lookup import Price
from tokentide_jobs.core.price.statuses import STATUS_CODES
from tokentide_jobs.core.price.units import LEAVES

__all__ = ["NO_RATE_ROWS", "RateRows", "rate_column"]

_MAX_ROWS = 20_000
"""Rows kept per table (about 6 MB); beyond it they are forgotten and resolved again."""

_LEAF_OF = {leaf.name: index for index, leaf in enumerate(LEAVES)}
_SHORT = _LEAF_OF["cache write"]
_LONGER = (_LEAF_OF["cache write 1h"], _LEAF_OF["cache write long"])


def rate_column(leaf: int) -> str:
    """Name of the column that holds the rate of a leaf, in pico-USD."""
    return f"rate_{leaf}"


@dataclass(frozen=True, slots=True)
class RateRows:
    """Rows of the keys seen so far; immutable, so threads may share it and race to extend it.

    Attributes:
        starts: Key -> its first row.
        frame: `above_<n>` thresholds, `rate_<leaf>`, masks, `status_code`, `rule`, `top`.
        prices: The price behind each row.
    """

    starts: Mapping[tuple[object, ...], int]
    frame: pl.DataFrame
    prices: tuple[Price, ...]

    @property
    def bands(self) -> int:
        """How many `above_<n>` columns there are."""
        return sum(1 for name in self.frame.columns if name.startswith("above_"))

    def extended(
        self, keys: Sequence[tuple[object, ...]], resolve: Callable[[int], Price]
    ) -> RateRows:
        """Return rows that hold all keys; itself when it does already.

        Args:
            keys: Distinct keys of a batch.
            resolve: Gives the price of `keys[i]`.
        """
        if all(key in self.starts for key in keys):
            return self
        known = self if len(self.prices) <= _MAX_ROWS else NO_RATE_ROWS
        starts = dict(known.starts)
        rows: list[tuple[Price, int]] = []
        for index, key in enumerate(keys):
            if key not in starts:
                starts[key] = len(known.prices) + len(rows)
                price = resolve(index)
                rows += [(price, floor) for floor in (-1, *_thresholds(price))]
        added = _frame(rows)
        # Keys resolved before may have fewer bands than new ones, or more.
        frame = pl.concat([known.frame, added], how="diagonal") if known.prices else added
        return RateRows(starts, frame, (*known.prices, *(price for price, _ in rows)))


NO_RATE_ROWS = RateRows({}, pl.DataFrame(), ())
"""Where every table begins."""


def _thresholds(price: Price) -> list[int]:
    return sorted({above for rate in price.rates.values() for above, _ in rate.tiers})


def _frame(rows: Sequence[tuple[Price, int]]) -> pl.DataFrame:
    """Return one row per (price, floor of a band)."""
    thresholds = [_thresholds(price) for price, _ in rows]
    columns: dict[str, pl.Series] = {}
    for band in range(max(map(len, thresholds), default=0)):
        values = [starts[band] if band < len(starts) else None for starts in thresholds]
        columns[f"above_{band}"] = pl.Series(values, dtype=pl.Int64)
    flat = [_flat(price, floor) for price, floor in rows]
    for leaf in range(len(LEAVES)):
        columns[rate_column(leaf)] = pl.Series([row[0][leaf] for row in flat], dtype=pl.Int64)
    columns["top"] = pl.Series([max(row[0]) for row in flat], dtype=pl.Int64)
    columns["has_mask"] = pl.Series([row[1] for row in flat], dtype=pl.Int32)
    columns["own_mask"] = pl.Series([row[2] for row in flat], dtype=pl.Int32)
    images = ["cache_image_read_tokens" in price.rates for price, _ in rows]
    columns["cached_images"] = pl.Series(images, dtype=pl.Boolean)
    sized = [price.has_sized_fees for price, _ in rows]
    columns["sized_fees"] = pl.Series(sized, dtype=pl.Boolean)
    searching = [price.searches_itself for price, _ in rows]
    columns["searches_itself"] = pl.Series(searching, dtype=pl.Boolean)
    lifetimes = [_has_priced_lifetimes(row[0], row[2]) for row in flat]
    columns["priced_lifetimes"] = pl.Series(lifetimes, dtype=pl.Boolean)
    codes = [STATUS_CODES[price.status] for price, _ in rows]
    columns["status_code"] = pl.Series(codes, dtype=pl.UInt8)
    rules = [price.rule if floor < 0 else f"{price.rule}>{floor}" for price, floor in rows]
    columns["rule"] = pl.Series(rules, dtype=pl.String)
    return pl.DataFrame(columns)


def _flat(price: Price, floor: int) -> tuple[list[int], int, int]:
    """Return the rates of every leaf within a band, and the masks of leaves priced and owned."""
    rates, has_mask, own_mask = [], 0, 0
    for bit, leaf in enumerate(LEAVES):
        position = next((i for i, unit in enumerate(leaf.chain) if unit in price.rates), None)
        if position is None:
            rates.append(0)
            continue
        rates.append(price.rates[leaf.chain[position]].at(floor + 1))
        has_mask |= 1 << bit
        own_mask |= (position < leaf.own) << bit
    return rates, has_mask, own_mask


def _has_priced_lifetimes(rates: Sequence[int], own_mask: int) -> bool:
    """Tell whether a cache write that lives longer has another price of its own."""
    return any(own_mask >> leaf & 1 and rates[leaf] != rates[_SHORT] for leaf in _LONGER)
