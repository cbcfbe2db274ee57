"""Price cards: what every known model costs, in integer pico-USD per token or unit.

A card table is immutable and named by its `price_version`: two tables of the same version price
every call alike, in any process, today and in a year. Money is integer from here on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property

from tokentide_jobs.core.tables import DAY_US

__all__ = [
    "DAY_US",
    "MAX_RATE_PICO_USD",
    "Card",
    "CardTable",
    "ModelCards",
    "NameAlias",
    "Override",
    "PriceCorrection",
    "ProviderCards",
    "Rate",
    "Rates",
    "rate_pico_usd",
    "scale_rates",
]

PICO_PER_USD = 1_000_000_000_000
MAX_RATE_PICO_USD = 10**15
"""Highest rate of one unit: 1,000 USD. Higher ones are typing mistakes, not prices."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one unit in pico-USD.

    Attributes:
        base: Up to the first tier.
        tiers: (above input tokens, rate) ascending. A cliff, not a slope: beyond a threshold every
            unit of the call costs the higher rate.
    """

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """Return the rate of a call with so many input tokens in total."""
        rate = self.base
        for above, higher in self.tiers:
            if input_tokens > above:
                rate = higher
        return rate


Rates = Mapping[str, Rate]
"""Unit -> rate."""


def rate_pico_usd(price_usd: Decimal, per: int) -> int:
    """Convert a quoted price to pico-USD per unit, rounding half to even.

    1 USD per million tokens is exactly 1,000,000 pico-USD per token. Prices with more than six
    decimals per million (float noise such as 1.0399999999999998, thirds of a cent) and prices per
    hour do not come out even: they are rounded to the nearest pico-USD, once, here.
    """
    exact = price_usd * PICO_PER_USD / per
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def scale_rates(rates: Rates, multiplier: Decimal) -> dict[str, Rate]:
    """Multiply every rate, rounding half to even to whole pico-USD."""

    def scaled(rate: int) -> int:
        return int((rate * multiplier).to_integral_value(rounding=ROUND_HALF_EVEN))

    return {
        unit: Rate(scaled(rate.base), tuple((above, scaled(r)) for above, r in rate.tiers))
        for unit, rate in rates.items()
    }


@dataclass(frozen=True, slots=True)
class Card:
    """Rates under one condition of time and service.

    Attributes:
        rates: Unit -> rate.
        valid_from_us: First instant, inclusive; None is since ever.
        daily_us: Half-open interval of the UTC day, wrapping past midnight when start > end.
        context: Conditions of service it is for; empty for the standard price.
    """

    rates: Rates
    valid_from_us: int | None = None
    daily_us: tuple[int, int] | None = None
    context: tuple[tuple[str, str], ...] = ()

    def is_active(self, at_us: int) -> bool:
        """Tell whether the card applies to a call started at `at_us`."""
        if self.daily_us is not None:
            start, end = self.daily_us
            moment = at_us % DAY_US
            if end < start:
                return moment >= start or moment < end
            return start <= moment < end
        return self.valid_from_us is None or at_us >= self.valid_from_us


@dataclass(frozen=True, slots=True)
class ModelCards:
    """All cards of one model.

    Attributes:
        model: Its id in the price list.
        match: Clause (JSON text) its names satisfy.
        standard: In order; the last active one applies, the first when none is.
        variants: In order; per unit the first that is active and whose context holds applies.
        minimums: Unit -> least amount billed per call that used it at all.
    """

    model: str
    match: str
    standard: tuple[Card, ...]
    variants: tuple[Card, ...] = ()
    minimums: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderCards:
    """The price list of one provider.

    Attributes:
        provider: Its id.
        match: Clause (JSON text) its other names satisfy, or the empty string.
        fallbacks: Providers whose lists hold too (a cloud that resells), without their variants.
        models: In order; the first match wins.
        known_since_us: From when on cards without a date are known to hold; None is since ever.
    """

    provider: str
    match: str
    fallbacks: tuple[str, ...]
    models: tuple[ModelCards, ...]
    known_since_us: int | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """One entry of the overrides file.

    Attributes:
        line: Where it stands in the file.
        provider: Pattern of provider names, in the price list's spelling where it has one.
        model: Pattern of model names.
        tenant: One tenant, or `*`.
        valid_from_us: Inclusive; None is since ever.
        valid_to_us: Exclusive; None is for ever.
        context: Conditions of service it is limited to; empty is all.
        rates: Absolute rates; units not named keep the price they have without this entry.
        multiplier: Factor on what the call would cost without this entry, as a decimal string;
            the empty string when `rates` are given.
        reason: For people.
    """

    line: int
    provider: str
    model: str
    tenant: str
    valid_from_us: int | None
    valid_to_us: int | None
    context: tuple[tuple[str, str], ...]
    rates: Rates
    multiplier: str
    reason: str

    def is_active(self, at_us: int) -> bool:
        """Tell whether the entry applies to a call started at `at_us`."""
        if self.valid_from_us is not None and at_us < self.valid_from_us:
            return False
        return self.valid_to_us is None or at_us < self.valid_to_us


@dataclass(frozen=True, slots=True)
class PriceCorrection:
    """One entry of our own prices: what the pinned list lacks, and what places cost.

    Attributes:
        provider: Pattern of provider names, of events or of the price list.
        models: Patterns of model names.
        places: Patterns of places it is for; empty for an entry that does not depend on the place.
        valid_from_us: Inclusive; None is since ever.
        valid_to_us: Exclusive; None is for ever.
        checked_us: When the source was read; without `valid_from_us` it is known from then on.
        rates: Absolute rates; units not named keep the price of the list.
        multiplier: Factor on the rates of tokens at its places, a decimal string; or "".
        source: Where the price is published.
    """

    provider: str
    models: tuple[str, ...]
    places: tuple[str, ...]
    valid_from_us: int | None
    valid_to_us: int | None
    checked_us: int
    rates: Rates
    multiplier: str
    source: str

    @property
    def known_since_us(self) -> int:
        """From when on the price is known to hold."""
        return self.checked_us if self.valid_from_us is None else self.valid_from_us

    @property
    def is_fee(self) -> bool:
        """Whether it is about searches, requests and the like, which are billed beside tokens."""
        return bool(self.rates) and not any(unit.endswith("_tokens") for unit in self.rates)

    def is_active(self, at_us: int) -> bool:
        """Tell whether the entry applies to a call started at `at_us`."""
        if self.valid_from_us is not None and at_us < self.valid_from_us:
            return False
        return self.valid_to_us is None or at_us < self.valid_to_us


@dataclass(frozen=True, slots=True)
class NameAlias:
    """One entry of `aliases` in the overrides file: this name is priced as that model.

    Attributes:
        line: Where it stands in the file.
        provider: Pattern of provider names.
        name: Pattern of model names, as events have them.
        model: The name to look up instead.
        reason: For people.
    """

    line: int
    provider: str
    name: str
    model: str
    reason: str


@dataclass(frozen=True)
class CardTable:
    """Every price of one version, immutable; the argument of `pricing.price`.

    Attributes:
        price_version: Names the content: price list release and a hash of overrides and compiler.
        providers: Price lists.
        overrides: In file order; among equals the last applies.
        corrections: Our own entries over the price lists, below the overrides.
        aliases: Of the overrides file; among equals the last applies.
        memo: Resolved prices of this process, bounded; no part of the table's identity.
    """

    price_version: str
    providers: tuple[ProviderCards, ...]
    overrides: tuple[Override, ...] = ()
    corrections: tuple[PriceCorrection, ...] = ()
    aliases: tuple[NameAlias, ...] = ()
    memo: dict[str, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        return {
            "price_version": self.price_version,
            "providers": self.providers,
            "overrides": self.overrides,
            "corrections": self.corrections,
            "aliases": self.aliases,
        }

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, memo={})

    @cached_property
    def tenants(self) -> frozenset[str]:
        """Tenants with a price of their own; all others are priced alike."""
        return frozenset(o.tenant for o in self.overrides if o.tenant != "*")

    @cached_property
    def provider_by_id(self) -> dict[str, ProviderCards]:
        """Price lists by provider id."""
        return {provider.provider: provider for provider in self.providers}

    @cached_property
    def boundaries_us(self) -> tuple[int, ...]:
        """Every instant at which some price, or what is known of it, begins or ends, ascending."""
        found = {c.valid_from_us for c in self._cards()}
        found |= {p.known_since_us for p in self.providers}
        found |= {c.known_since_us for c in self.corrections}
        found |= {c.valid_to_us for c in self.corrections}
        found |= {o.valid_from_us for o in self.overrides}
        found |= {o.valid_to_us for o in self.overrides}
        return tuple(sorted(instant for instant in found if instant is not None))

    @cached_property
    def daily_boundaries_us(self) -> tuple[int, ...]:
        """Every moment of the UTC day at which some price begins or ends, ascending."""
        return tuple(sorted({edge for c in self._cards() if c.daily_us for edge in c.daily_us}))

    def _cards(self) -> list[Card]:
        return [
            card
            for provider in self.providers
            for model in provider.models
            for card in (*model.standard, *model.variants)
        ]
