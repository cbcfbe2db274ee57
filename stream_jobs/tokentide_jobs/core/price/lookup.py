"""Finding the price of a call: tenant override, then global override, then the price list.

One function, `resolve`, decides for the vectorised path, for `explain` and for the CLI alike, and
names the cards it used. Whatever the price list would answer silently (an unknown tier, a date
before its first price, a model listed without rates) comes out as a status.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from tokentide_jobs.core.price.cards import CardTable, Override, Rate, Rates, scale_rates
from tokentide_jobs.core.price.list_price import list_price
from tokentide_jobs.core.price.matching import glob_pattern
from tokentide_jobs.core.price.model_index import find_provider
from tokentide_jobs.core.price.names import spellings
from tokentide_jobs.core.price.statuses import STAND_INS, PriceStatus
from tokentide_jobs.core.price.units import PER_REQUEST, SIZED_REQUESTS
from tokentide_jobs.core.price.vocabulary import PROVIDER_ALIASES, CallTerms, tier_context

__all__ = ["Price", "resolve"]

_SEARCHES_ITSELF = re.compile(r"[/-]sonar\b|deep-research|search-preview|search-api")
"""In a rule: models that search in every call, or nearly; Perplexity's, and those for research."""


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
    status: PriceStatus
    rule: str
    minimums: tuple[tuple[str, int], ...] = ()

    @property
    def has_sized_fees(self) -> bool:
        """Whether the fee of a request depends on how much was searched for it."""
        return not self.rates.keys().isdisjoint(SIZED_REQUESTS)

    @property
    def searches_itself(self) -> bool:
        """Whether its model searches in every call, and no fee of the request covers that."""
        return PER_REQUEST not in self.rates and _SEARCHES_ITSELF.search(self.rule) is not None


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
    for name, spelled in spellings(cards, call, provider):
        price = _price_of(cards, call, provider, (name, spelled), at_us, trace)
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
    cards: CardTable,
    call: CallTerms,
    provider: str,
    names: tuple[str, str],
    at_us: int,
    trace: list[str],
) -> Price | None:
    listed = list_price(cards, call, provider, names[0], at_us, trace)
    price = None if listed is None else Price(listed.rates, *listed.verdict, listed.minimums)
    for tenant in ("*", call.tenant):
        chosen = None
        for override in cards.overrides:
            if override.tenant == tenant and _applies(override, call, provider, names, at_us):
                chosen = override
        if chosen is not None:
            price = _apply(chosen, price, trace)
        if tenant == call.tenant:
            break
    return price


def _applies(
    override: Override, call: CallTerms, provider: str, names: tuple[str, str], at_us: int
) -> bool:
    if not override.is_active(at_us) or not any(map(glob_pattern(override.model), names)):
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
        rule = f"{label} x{override.multiplier} over {price.rule}"
        return replace(price, rates=rates, status=_status_over(price), rule=rule)
    below = price if price is not None and price.rates else None
    inherited = sorted(set(below.rates) - set(override.rates)) if below else []
    trace.append(f"{label} ({override.reason}): sets {', '.join(sorted(override.rates))}")
    if below is None or not inherited:
        minimums = below.minimums if below else ()
        return Price(dict(override.rates), "override", label, minimums)
    trace.append(f"{label}: {', '.join(inherited)} keep the price below")
    merged: dict[str, Rate] = {**below.rates, **override.rates}
    return Price(merged, _status_over(below), f"{label} over {below.rule}", below.minimums)


def _status_over(below: Price) -> PriceStatus:
    """Return what an override that leaves some of the price below in force may claim."""
    return below.status if below.status in STAND_INS else "override"
