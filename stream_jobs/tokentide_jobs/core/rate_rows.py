"""Resolved prices as rows of numbers: what the vectorised path gathers from.

Each distinct call (provider, models, tenant, service, validity interval) is resolved once per
process and becomes one row per long-context band. Rows are appended and never change, so a frame
handed out stays right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from tokentide_jobs.core.price_lookup import Price
from tokentide_jobs.core.price_units import LEAVES

__all__ = ["STATUS_CODES", "RateRows", "RateSnapshot", "rate_column"]

STATUS_CODES = {"exact": 0, "override": 1, "fallback_tier": 2, "unpriced": 3}
_MAX_ROWS = 100_000
"""Rows kept per table (about 20 MB); beyond it the rows are forgotten and resolved again."""


def rate_column(leaf: int) -> str:
    """Name of the column that holds the rate of a leaf, in pico-USD."""
    return f"rate_{leaf}"


@dataclass(frozen=True, slots=True)
class RateSnapshot:
    """Rows for one batch.

    Attributes:
        starts: First row of each key asked for, in order.
        frame: All rows: `above_<n>` thresholds, `rate_<leaf>`, masks, `status_code`, `rule`, `top`.
        bands: Number of `above_<n>` columns.
        prices: The price behind each row.
    """

    starts: list[int]
    frame: pl.DataFrame
    bands: int
    prices: Sequence[Price]


@dataclass
class RateRows:
    """Append-only rows of one card table, shared by the threads of a process."""

    _starts: dict[tuple[object, ...], int] = field(default_factory=dict)
    _prices: list[Price] = field(default_factory=list)
    _floors: list[int] = field(default_factory=list)
    _thresholds: list[tuple[int, ...]] = field(default_factory=list)
    _frame: pl.DataFrame | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def snapshot(
        self, keys: Sequence[tuple[object, ...]], resolve: Callable[[int], Price]
    ) -> RateSnapshot:
        """Return rows for all keys, resolving those not seen before.

        Args:
            keys: Distinct keys of a batch.
            resolve: Gives the price of `keys[i]`.
        """
        with self._lock:
            if len(self._prices) > _MAX_ROWS:
                self._forget()
            for index, key in enumerate(keys):
                if key not in self._starts:
                    self._append(key, resolve(index))
            if self._frame is None:
                self._frame = self._build()
            frame = self._frame
            bands = sum(1 for name in frame.columns if name.startswith("above_"))
            return RateSnapshot([self._starts[key] for key in keys], frame, bands, self._prices)

    def _forget(self) -> None:
        # New lists, not cleared ones: snapshots handed out still point at the old.
        self._starts, self._prices = {}, []
        self._floors, self._thresholds, self._frame = [], [], None

    def _append(self, key: tuple[object, ...], price: Price) -> None:
        starts = sorted({above for rate in price.rates.values() for above, _ in rate.tiers})
        self._starts[key] = len(self._prices)
        for floor in (-1, *starts):
            self._prices.append(price)
            self._floors.append(floor)
            self._thresholds.append(tuple(starts))
        self._frame = None

    def _build(self) -> pl.DataFrame:
        bands = max((len(starts) for starts in self._thresholds), default=0)
        columns: dict[str, pl.Series] = {}
        for band in range(bands):
            values = [starts[band] if band < len(starts) else None for starts in self._thresholds]
            columns[f"above_{band}"] = pl.Series(values, dtype=pl.Int64)
        flat = [
            _flat(price, floor) for price, floor in zip(self._prices, self._floors, strict=True)
        ]
        for leaf in range(len(LEAVES)):
            columns[rate_column(leaf)] = pl.Series([row[0][leaf] for row in flat], dtype=pl.Int64)
        columns["top"] = pl.Series([max(row[0]) for row in flat], dtype=pl.Int64)
        columns["has_mask"] = pl.Series([row[1] for row in flat], dtype=pl.Int32)
        columns["own_mask"] = pl.Series([row[2] for row in flat], dtype=pl.Int32)
        columns["cached_images"] = pl.Series(
            ["cache_image_read_tokens" in price.rates for price in self._prices], dtype=pl.Boolean
        )
        columns["status_code"] = pl.Series(
            [STATUS_CODES[price.status] for price in self._prices], dtype=pl.UInt8
        )
        rules = [
            price.rule if floor < 0 else f"{price.rule}>{floor}"
            for price, floor in zip(self._prices, self._floors, strict=True)
        ]
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
