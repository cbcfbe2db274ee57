"""What the pinned price list lacks or has wrong, and what places cost: our own sourced entries.

An entry gives rates (a name that is missing or wrong), fees beside the tokens of a model that is
listed, or the price of a place. For models that have entries of places the place of a call moves
its price: one that is not known, or that no entry names, is never called exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from tokentide_jobs.core.price.cards import CardTable, PriceCorrection, Rates, scale_rates
from tokentide_jobs.core.price.matching import glob_pattern

__all__ = [
    "UNSPECIFIED",
    "corrected_rates",
    "entry_of_place",
    "fees_of",
    "place_entries",
    "scale_tokens",
]

_REMEMBERED = 1_000
"""Names of providers remembered per table; beyond it the memory starts afresh."""

UNSPECIFIED = "unsaid"
"""In an entry's places: calls that name no place, where the provider documents what that means."""


def corrected_rates(
    cards: CardTable, names: Sequence[str], model: str, at_us: int, *, is_listed: bool
) -> PriceCorrection | None:
    """Return the entry whose rates hold for a model at a time; entries never overlap.

    Args:
        cards: The price table.
        names: What the provider is called: in the event, and in the price lists.
        model: The lower-case model name.
        at_us: Start of the call.
        is_listed: Whether the model has a price already; fees are added to it then, see `fees_of`.
    """
    fee = None
    for entry in _of_provider(cards, names):
        if entry.rates and entry.is_active(at_us) and _is_for(entry, model):
            if not entry.is_fee:
                return entry
            if model in entry.models:  # what is billed by the search alone is named in full
                fee = fee or entry
    return None if is_listed else fee


def fees_of(
    cards: CardTable, names: Sequence[str], model: str, at_us: int
) -> list[PriceCorrection]:
    """Return the entries with fees of a model that are known to hold at a time."""
    return [
        entry
        for entry in _of_provider(cards, names)
        if entry.is_fee
        and entry.known_since_us <= at_us
        and entry.is_active(at_us)
        and _is_for(entry, model)
    ]


def place_entries(
    cards: CardTable, names: Sequence[str], model: str, at_us: int
) -> list[PriceCorrection]:
    """Return the entries that say what places cost for a model; none where places are all alike."""
    found = (e for e in _of_provider(cards, names) if e.places and e.is_active(at_us))
    return [entry for entry in found if _is_for(entry, model)]


def entry_of_place(entries: Sequence[PriceCorrection], place: str) -> PriceCorrection | None:
    """Return the first entry that names a place; the empty string is a place not reported."""
    for entry in entries:
        if any(_is_at(pattern, place) for pattern in entry.places):
            return entry
    return None


def scale_tokens(rates: Rates, multiplier: str) -> Rates:
    """Multiply the rates of tokens; fees for searches and requests are the same everywhere."""
    tokens = {unit: rate for unit, rate in rates.items() if unit.endswith("_tokens")}
    return {**rates, **scale_rates(tokens, Decimal(multiplier))}


def _is_at(pattern: str, place: str) -> bool:
    return (
        pattern == UNSPECIFIED
        if not place
        else pattern != UNSPECIFIED and glob_pattern(pattern)(place)
    )


def _is_for(entry: PriceCorrection, model: str) -> bool:
    return any(glob_pattern(pattern)(model) for pattern in entry.models)


def _of_provider(cards: CardTable, names: Sequence[str]) -> tuple[PriceCorrection, ...]:
    """Return the entries of a provider, remembered: a new model is not held against all others."""
    memory = cast(
        "dict[tuple[str, ...], tuple[PriceCorrection, ...]]",
        cards.memo.setdefault("corrections", {}),
    )
    key = tuple(names)
    if key not in memory:
        if len(memory) >= _REMEMBERED:
            memory.clear()
        memory[key] = tuple(
            entry for entry in cards.corrections if any(map(glob_pattern(entry.provider), key))
        )
    return memory[key]
