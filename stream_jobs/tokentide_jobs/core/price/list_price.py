"""The price that lists and our corrections give a call, and all that keeps it from being exact.

Every reason is collected, not only the first: the least certain one becomes the status, and the
rule names them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tokentide_jobs.core.price.cards import Card, CardTable, ModelCards, PriceCorrection, Rate
from tokentide_jobs.core.price.matching import glob_pattern, says_more
from tokentide_jobs.core.price.model_index import find_model, find_provider
from tokentide_jobs.core.price.names import is_moving
from tokentide_jobs.core.price.price_corrections import (
    corrected_rates,
    entry_of_place,
    fees_of,
    place_entries,
    scale_tokens,
)
from tokentide_jobs.core.price.statuses import STATUS_CODES, PriceStatus, least_certain
from tokentide_jobs.core.price.vocabulary import CallTerms, place_of, price_contexts, tier_context

__all__ = ["ListPrice", "list_price"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class ListPrice:
    """A price while it is put together.

    Attributes:
        rates: Unit -> rate.
        rule: The cards that gave them.
        minimums: Unit -> least amount billed.
        answered: Conditions of service that the cards answer.
        uncertain: Status that holds -> how the rule names it.
    """

    rates: dict[str, Rate]
    rule: str
    minimums: tuple[tuple[str, int], ...] = ()
    answered: set[tuple[str, str]] = field(default_factory=set)
    uncertain: dict[PriceStatus, str] = field(default_factory=dict)

    @property
    def verdict(self) -> tuple[PriceStatus, str]:
        """The status, and the rule with all that is uncertain, the gravest first."""
        ordered = sorted(self.uncertain, key=STATUS_CODES.__getitem__, reverse=True)
        notes = "".join(f"!{self.uncertain[status]}" for status in ordered)
        return least_certain(self.uncertain), self.rule + notes


def list_price(
    cards: CardTable, call: CallTerms, provider: str, name: str, at_us: int, trace: list[str]
) -> ListPrice | None:
    """Return the price of a model for everybody, or None when no list and no correction has it.

    Args:
        cards: The price table.
        call: What the event says.
        provider: Id of the price list.
        name: The lower-case model name to look up.
        at_us: Start of the call.
        trace: Receives one line per decision.
    """
    raw = call.provider.strip().lower()
    if raw == "litellm" and "/" in name:
        prefix, rest = name.split("/", 1)
        behind = find_provider(cards, prefix)
        if behind is not None:
            raw, provider, name = prefix, behind, rest
    price = _from_list(cards, call, provider, name, at_us, trace)
    price = _with_correction(cards, (raw, provider), name, at_us, price, trace)
    if price is None or not price.rates:
        return price
    asked = (pair for pair in tier_context(call) if pair not in price.answered)
    tiers = tuple(pair for pair in asked if pair[0] != "inference_geo")
    if tiers:
        price.uncertain["fallback_tier"] = _pairs(tiers)
        trace.append(f"no price for {_pairs(tiers)} at that time: standard rates stand in")
    if not any(key == "inference_geo" for key, _ in price.answered):
        _place(cards, call, (raw, provider), name, at_us, price, trace)
    if is_moving(call, provider, name):
        price.uncertain["alias"] = "alias"
        trace.append(f"{name!r} may stand for another model or route at another time")
    return price


def _from_list(
    cards: CardTable, call: CallTerms, provider: str, name: str, at_us: int, trace: list[str]
) -> ListPrice | None:
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
    is_own = list_provider == provider
    variants = _variants(model, call, at_us) if is_own else []
    rates: dict[str, Rate] = {}
    used = []
    for card in variants:
        if not card.rates.keys() <= rates.keys():
            used.append(card)
        for unit, rate in card.rates.items():
            rates.setdefault(unit, rate)
        trace.append(f"variant [{_pairs(card.context)}] sets {', '.join(card.rates) or 'nothing'}")
    if not standard.rates.keys() <= rates.keys():
        used.append(standard)
    answered = {pair for card in variants for pair in card.context}
    if answered:
        rule += f"[{_pairs(tuple(sorted(answered)))}]"
    price = ListPrice({**standard.rates, **rates}, rule, model.minimums, answered)
    if not is_own:
        price.uncertain["resold"] = "resold"
        trace.append(f"{provider} has no price of its own: that of {list_provider} stands in")
    if says_more(name, model.model, model.match):
        price.uncertain["alias"] = "alias"
        trace.append(f"{name!r} says more than the listed {model.model!r}: it may be another model")
    known_since = cards.provider_by_id[list_provider].known_since_us or 0
    if not active or (at_us < known_since and any(card.valid_from_us is None for card in used)):
        price.uncertain["undated"] = "undated"
        trace.append("the price has no date, and is known to hold only later: it stands in")
    return price


def _variants(model: ModelCards, call: CallTerms, at_us: int) -> list[Card]:
    """Return the variants that hold, in order."""
    context = price_contexts(call)
    return [
        card
        for card in model.variants
        if card.is_active(at_us) and all(context.get(key) == value for key, value in card.context)
    ]


def _with_correction(
    cards: CardTable,
    providers: tuple[str, str],
    name: str,
    at_us: int,
    below: ListPrice | None,
    trace: list[str],
) -> ListPrice | None:
    is_listed = below is not None and bool(below.rates)
    entry = corrected_rates(cards, providers, name, at_us, is_listed=is_listed)
    price = below if entry is None else _corrected(entry, providers, name, at_us, below, trace)
    if price is None or (entry is not None and entry.is_fee):
        return price
    for fee in fees_of(cards, providers, name, at_us):
        price.rates = {**price.rates, **fee.rates}
        trace.append(f"our own fees, from {fee.source}: {', '.join(sorted(fee.rates))}")
    return price


def _corrected(
    entry: PriceCorrection,
    providers: tuple[str, str],
    name: str,
    at_us: int,
    below: ListPrice | None,
    trace: list[str],
) -> ListPrice:
    pattern = next(one for one in entry.models if glob_pattern(one)(name))
    rule = f"tokentide:{providers[1]}/{pattern}{_since(entry.valid_from_us)}"
    trace.append(f"our own price, from {entry.source}: sets {', '.join(sorted(entry.rates))}")
    price = ListPrice(dict(entry.rates), rule)
    if below is not None:
        price.minimums = below.minimums
        if not below.rates.keys() <= entry.rates.keys():
            price = below
            price.rates = {**below.rates, **entry.rates}
            # The entry is the price of standard service, whatever the list has for others.
            price.answered = set()
            price.rule = f"{rule} over {below.rule}"
    if at_us < entry.known_since_us:
        price.uncertain["undated"] = "undated"
    return price


def _place(
    cards: CardTable,
    call: CallTerms,
    providers: tuple[str, str],
    name: str,
    at_us: int,
    price: ListPrice,
    trace: list[str],
) -> None:
    """Apply what the place of the call does to its price, or say that it is not known."""
    if call.is_behind_profile(name):
        price.uncertain["fallback_region"] = "place=unknown"
        trace.append("a profile of the customer's own does not say where it is served")
        return
    entries = place_entries(cards, providers, name, at_us)
    place = place_of(call, providers[1], name)
    if not entries:
        asked = tuple(pair for pair in tier_context(call) if pair[0] == "inference_geo")
        if asked:
            price.uncertain["fallback_region"] = _pairs(asked)
            trace.append(f"no price for {_pairs(asked)}: that of no particular place stands in")
        return
    entry = entry_of_place(entries, place)
    if entry is None:
        price.uncertain["fallback_region"] = f"place={place or 'unknown'}"
        trace.append(
            f"the place moves the price; {place or 'unknown'} has none: the list's stands in"
        )
    elif entry.multiplier not in ("", "1"):
        price.rates = dict(scale_tokens(price.rates, entry.multiplier))
        price.rule += f"[{place or 'unsaid'} x{entry.multiplier}]"
        trace.append(f"place {place}: tokens x {entry.multiplier} ({entry.source})")


def _pairs(context: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{key}={value}" for key, value in context)


def _condition(card: Card) -> str:
    if card.daily_us is not None:
        start, end = (_EPOCH + timedelta(microseconds=edge) for edge in card.daily_us)
        return f"~{start:%H:%M}-{end:%H:%M}"
    return _since(card.valid_from_us)


def _since(instant_us: int | None) -> str:
    if instant_us is None:
        return ""
    return f"@{_EPOCH + timedelta(microseconds=instant_us):%Y-%m-%d}"
