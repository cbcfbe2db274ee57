"""Finding the price of a call: tenant override, then global override, then the price list.

One function, `resolve`, decides for the vectorised path, for `explain` and for the CLI alike, and
names the cards it used. Whatever the price list would answer silently (an unknown tier, a date
before its first price, a model listed without rates) comes out as a status.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from tokentide_jobs.core.price.cards import (
    Card,
    CardTable,
    ModelCards,
    Override,
    Rate,
    Rates,
    scale_rates,
)
from tokentide_jobs.core.price.matching import glob_pattern
from tokentide_jobs.core.price.model_index import find_model, find_provider
from tokentide_jobs.core.price.vocabulary import (
    PROVIDER_ALIASES,
    CallTerms,
    price_contexts,
    tier_context,
)

__all__ = ["Price", "resolve"]

Status = Literal["exact", "fallback_tier", "override", "unpriced"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Price:
    """The rates of one call, before its usage is known.

    Attributes:
        rates: Unit -> rate; empty when unpriced.
        status: As far as it does not depend on usage: `partial` is decided with the counts.
        rule: The cards that gave the rates, for `price_rule`.
        minimums: Unit -> least amount billed.
    """

    rates: Rates
    status: Status
    rule: str
    minimums: tuple[tuple[str, int], ...] = ()


def resolve(cards: CardTable, call: CallTerms, at_us: int, trace: list[str] | None = None) -> Price:
    """Find the rates of a call started at `at_us`.

    Args:
        cards: The price table.
        call: What the event says of provider, models and service.
        at_us: Start of the call, epoch microseconds.
        trace: Receives one line per decision, for `explain`.
    """
    trace = trace if trace is not None else []
    provider = _list_provider(cards, call, trace)
    reason = "unknown provider" if provider not in cards.provider_by_id else "unknown model"
    for name in call.model_names():
        price = _price_of(cards, call, provider, name, at_us, trace)
        if price is not None and price.rates:
            return price
        if price is not None:
            reason = "listed without rates"
        trace.append(f"model {name!r}: no price under provider {provider!r}")
    return Price({}, "unpriced", f"unpriced: {reason}")


def _list_provider(cards: CardTable, call: CallTerms, trace: list[str]) -> str:
    """Return the provider id prices are listed under, or the event's own name when none is."""
    raw = call.provider.strip().lower()
    own = find_provider(cards, raw)
    if own is not None:
        trace.append(f"provider {call.provider!r}: price list {own!r}")
        return own
    # A gateway without a list of its own bills what the provider behind it charges.
    upstream = find_provider(cards, call.upstream_provider) if call.upstream_provider else None
    if upstream is not None:
        trace.append(
            f"provider {call.provider!r} has no price list; "
            f"upstream_provider {call.upstream_provider!r}: price list {upstream!r}"
        )
        return upstream
    trace.append(f"provider {call.provider!r}: no price list")
    return raw


def _price_of(
    cards: CardTable, call: CallTerms, provider: str, name: str, at_us: int, trace: list[str]
) -> Price | None:
    price = _list_price(cards, call, provider, name, at_us, trace)
    for tenant in ("*", call.tenant):
        chosen = None
        for override in cards.overrides:
            if override.tenant == tenant and _applies(override, call, provider, name, at_us):
                chosen = override
        if chosen is not None:
            price = _apply(chosen, price, trace)
        if tenant == call.tenant:
            break
    return price


def _applies(override: Override, call: CallTerms, provider: str, name: str, at_us: int) -> bool:
    if not override.is_active(at_us) or not glob_pattern(override.model)(name):
        return False
    wanted = override.provider.lower()
    matches = glob_pattern(wanted)
    raw = call.provider.strip().lower()
    same_provider = matches(provider) or matches(raw) or PROVIDER_ALIASES.get(wanted) == provider
    return same_provider and set(override.context) <= set(tier_context(call))


def _apply(override: Override, price: Price | None, trace: list[str]) -> Price | None:
    label = f"override:{override.line}"
    if override.multiplier:
        if price is None or not price.rates:
            trace.append(f"{label} multiplies, but there is no price to multiply")
            return price
        trace.append(f"{label} ({override.reason}): every rate x {override.multiplier}")
        rates = scale_rates(price.rates, Decimal(override.multiplier))
        status = price.status if price.status == "fallback_tier" else "override"
        rule = f"{label} x{override.multiplier} over {price.rule}"
        return replace(price, rates=rates, status=status, rule=rule)
    below = price if price is not None and price.rates else None
    inherited = sorted(set(below.rates) - set(override.rates)) if below else []
    trace.append(f"{label} ({override.reason}): sets {', '.join(sorted(override.rates))}")
    if below is None or not inherited:
        minimums = below.minimums if below else ()
        return Price(dict(override.rates), "override", label, minimums)
    trace.append(f"{label}: {', '.join(inherited)} keep the price below")
    status = "fallback_tier" if below.status == "fallback_tier" else "override"
    merged: dict[str, Rate] = {**below.rates, **override.rates}
    return Price(merged, status, f"{label} over {below.rule}", below.minimums)


def _list_price(
    cards: CardTable, call: CallTerms, provider: str, name: str, at_us: int, trace: list[str]
) -> Price | None:
    if call.provider.strip().lower() == "litellm" and "/" in name:
        prefix, rest = name.split("/", 1)
        provider, name = (prefix, rest) if prefix in cards.provider_by_id else (provider, name)
    found = find_model(cards, provider, name)
    if found is None:
        return None
    list_provider, model = found
    trace.append(f"model {name!r}: {list_provider}/{model.model}, matched by {model.match}")
    active = [card for card in model.standard if card.is_active(at_us)]
    standard = active[-1] if active else model.standard[0]
    rule = f"genai-prices:{list_provider}/{model.model}{_condition(standard)}"
    trace.append(f"standard price{_condition(standard) or ' (no dates)'}")
    # As in genai-prices: a reseller's customers do not get the origin's tiers.
    own_list = list_provider == provider
    variants, met = _variants(model, call, at_us) if own_list else ([], set())
    rates: dict[str, Rate] = {}
    for card in variants:
        for unit, rate in card.rates.items():
            rates.setdefault(unit, rate)
        trace.append(f"variant [{_pairs(card.context)}] sets {', '.join(card.rates) or 'nothing'}")
    rates = {**standard.rates, **rates}
    if met:
        rule += f"[{_pairs(tuple(sorted(met)))}]"
    missing = tuple(pair for pair in tier_context(call) if pair not in met)
    if missing:
        rule += f"!{_pairs(missing)}"
        trace.append(f"no price for {_pairs(missing)} at that time: standard rates stand in")
    if not active:
        rule += "!before first price"
        trace.append("before the first dated price: the first one stands in")
    status: Status = "fallback_tier" if missing or not active else "exact"
    return Price(rates, status, rule, model.minimums)


def _variants(
    model: ModelCards, call: CallTerms, at_us: int
) -> tuple[list[Card], set[tuple[str, str]]]:
    """Return the variants that hold, in order, and the conditions they answer."""
    context = price_contexts(call)
    holding = [
        card
        for card in model.variants
        if card.is_active(at_us) and all(context.get(key) == value for key, value in card.context)
    ]
    return holding, {pair for card in holding for pair in card.context}


def _pairs(context: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{key}={value}" for key, value in context)


def _condition(card: Card) -> str:
    if card.daily_us is not None:
        start, end = (_EPOCH + timedelta(microseconds=edge) for edge in card.daily_us)
        return f"~{start:%H:%M}-{end:%H:%M}"
    if card.valid_from_us is not None:
        return f"@{_EPOCH + timedelta(microseconds=card.valid_from_us):%Y-%m-%d}"
    return ""
