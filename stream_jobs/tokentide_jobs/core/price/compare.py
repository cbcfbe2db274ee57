"""Two card tables side by side: what the overrides change, or one release against another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tokentide_jobs.core.price.cards import CardTable, ModelCards, Rate
from tokentide_jobs.core.price.lookup import Price, resolve
from tokentide_jobs.core.price.model_index import find_model
from tokentide_jobs.core.price.vocabulary import CallTerms

__all__ = ["Difference", "compare", "effective_prices", "list_only", "sample_name"]

_MOST_NAMES = 3
"""Names tried per model: its id, then the first names of its match clause."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One unit of one model whose rate differs; None is no price of its own."""

    tenant: str
    provider: str
    model: str
    unit: str
    old: Rate | None
    new: Rate | None


def list_only(cards: CardTable) -> CardTable:
    """Return the table without its overrides."""
    return replace(cards, overrides=())


def effective_prices(cards: CardTable, tenant: str, at_us: int) -> dict[tuple[str, str], Price]:
    """Return the standard-service price of every listed model and self-priced pattern.

    Args:
        cards: The price table.
        tenant: One tenant, or the empty string for everybody without prices of their own.
        at_us: Moment of the call.
    """
    prices: dict[tuple[str, str], Price] = {}
    for provider in cards.providers:
        for model in provider.models:
            name = sample_name(provider.provider, model, cards)
            if name:
                call = CallTerms(tenant=tenant, provider=provider.provider, request_model=name)
                prices[provider.provider, model.model] = resolve(cards, call, at_us)
    for correction in cards.corrections:
        for pattern in correction.models if correction.rates else ():
            terms = CallTerms(tenant=tenant, provider=correction.provider, request_model=pattern)
            if find_model(cards, correction.provider, pattern) is None:
                price = resolve(cards, terms, at_us)
                if price.rates:
                    prices[correction.provider, pattern] = price
    for override in cards.overrides:
        is_listed = override.provider in cards.provider_by_id or "*" in override.provider
        mine = override.tenant in ("*", tenant)
        if override.rates and override.is_active(at_us) and mine and not is_listed:
            key = (override.provider, override.model)
            prices[key] = Price(override.rates, "override", f"override:{override.line}")
    return prices


def compare(old: CardTable, new: CardTable, at_us: int) -> list[Difference]:
    """List every rate that differs, for everybody first, then for tenants that differ from them."""
    found = list(_compare_for("", old, new, at_us))
    common = {(d.provider, d.model, d.unit): d for d in found}
    for tenant in sorted(old.tenants | new.tenants):
        for difference in _compare_for(tenant, old, new, at_us):
            key = (difference.provider, difference.model, difference.unit)
            if key not in common or replace(difference, tenant="") != common[key]:
                found.append(difference)
    return found


def _compare_for(tenant: str, old: CardTable, new: CardTable, at_us: int) -> Iterator[Difference]:
    before = effective_prices(old, tenant, at_us)
    after = effective_prices(new, tenant, at_us)
    for key in dict.fromkeys((*before, *after)):
        rates = [side[key].rates if key in side else {} for side in (before, after)]
        for unit in sorted({*rates[0], *rates[1]}):
            pair = rates[0].get(unit), rates[1].get(unit)
            if pair[0] != pair[1]:
                yield Difference(tenant, *key, unit, *pair)


def sample_name(provider: str, model: ModelCards, cards: CardTable) -> str:
    """Return a name that finds this very model, or "" when other entries shadow it."""
    names = [model.model, *_names_in(json.loads(model.match))]
    for name in dict.fromkeys(name.lower() for name in names[:_MOST_NAMES]):
        found = find_model(cards, provider, name)
        if found is not None and found[1] is model:
            return name
    return ""


def _names_in(clause: dict[str, Any]) -> Iterator[str]:
    ((kind, value),) = clause.items()
    if kind in ("or", "and"):
        for part in value:
            yield from _names_in(part)
    elif kind != "regex":
        yield str(value)
