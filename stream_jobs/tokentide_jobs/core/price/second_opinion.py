"""Our base rates beside those of LiteLLM's map: where two lists of the same prices disagree.

The map is a second source, never one that prices a call. Numbers are read as decimals from its
text; a difference of more than one in a hundred is a disagreement for a person to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tokentide_jobs.core.price.cards import CardTable, rate_pico_usd
from tokentide_jobs.core.price.lookup import resolve
from tokentide_jobs.core.price.statuses import PriceStatus
from tokentide_jobs.core.price.vocabulary import CallTerms

__all__ = ["ComparedRate", "Quote", "compare_quotes", "disagrees", "quotes"]

_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_text": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openai": "openai",
    "text-completion-openai": "openai",
    "xai": "x_ai",
}
"""LiteLLM's providers -> the name that events have; Vertex has one for each maker there."""
_UNITS = {
    "input_cost_per_token": "input_tokens",
    "output_cost_per_token": "output_tokens",
    "cache_read_input_token_cost": "cache_read_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
}
_PREFIX = re.compile(
    r"(?:azure_ai|azure|bedrock_converse|bedrock|cohere_chat|cohere|deepseek|gemini|groq|mistral"
    r"|openai|vertex_ai|xai|anthropic)/(.+)"
)
_AZURE_PLACE = re.compile(r"(us|eu|apac|us-gov|global-standard|global)/(.+)")
_AWS_PLACE = re.compile(r"([a-z]{2}(?:-[a-z]+)+-\d)/(.+)")
_AWS_ROUTE = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|in|global)\.")


@dataclass(frozen=True, slots=True)
class Quote:
    """What the map says of one name: base rates in pico-USD a token.

    Attributes:
        provider: As events name it.
        model: The name, without LiteLLM's prefixes.
        place: What the map's name says of the place; where it says none, the list's own.
        rates: Unit -> rate.
    """

    provider: str
    model: str
    place: str
    rates: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ComparedRate:
    """One rate of one name in both lists; None is a unit that ours does not price."""

    provider: str
    model: str
    place: str
    unit: str
    ours: int | None
    theirs: int
    status: PriceStatus


def quotes(prices: Mapping[str, Any]) -> Iterator[Quote]:
    """Yield what the map says of the models of providers that we know, one quote a name.

    Args:
        prices: The JSON object of the map, with numbers as decimals or integers.
    """
    seen: set[tuple[str, str, str]] = set()
    for key, entry in prices.items():
        maker = str(entry.get("litellm_provider", "")) if isinstance(entry, dict) else ""
        vertex = "gcp.vertex_ai" if maker.startswith("vertex_ai") else ""
        provider = _PROVIDERS.get(maker, vertex)
        rates = _rates(entry) if provider else {}
        if not rates:
            continue
        place, model = _split(provider, key)
        if (provider, model, place) not in seen:
            seen.add((provider, model, place))
            yield Quote(provider, model, place, rates)


def _rates(entry: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for key, unit in _UNITS.items():
        value = entry.get(key)
        if isinstance(value, Decimal | int) and not isinstance(value, bool) and value > 0:
            found[unit] = rate_pico_usd(Decimal(value), 1)
    return found


def _split(provider: str, key: str) -> tuple[str, str]:
    """Return the place and the model's name of one key of the map."""
    found = _PREFIX.fullmatch(key)
    name = found[1] if found else key
    if provider.startswith("azure"):
        placed = _AZURE_PLACE.fullmatch(name)
        place, name = placed.groups() if placed else ("global", name)
        return place.removesuffix("-standard"), name
    if provider == "aws.bedrock":
        placed = _AWS_PLACE.fullmatch(name)
        if placed:
            return placed[1], placed[2]
        return "" if _AWS_ROUTE.match(name) else "us-east-1", name
    return ("global" if provider == "gcp.vertex_ai" else ""), name


def compare_quotes(cards: CardTable, found: Iterable[Quote], at_us: int) -> Iterator[ComparedRate]:
    """Yield every rate of the quotes beside ours, for names that we price.

    Args:
        cards: The price table.
        found: What the map says.
        at_us: Moment of the call; the map has no dates, so it is that of the map.
    """
    for quote in found:
        call = CallTerms(provider=quote.provider, request_model=quote.model, region=quote.place)
        price = resolve(cards, call, at_us)
        for unit, theirs in quote.rates.items() if price.rates else ():
            rate = price.rates.get(unit)
            ours = None if rate is None else rate.base
            yield ComparedRate(
                quote.provider, quote.model, quote.place, unit, ours, theirs, price.status
            )


def disagrees(judged: ComparedRate) -> bool:
    """Tell whether both lists price the unit, more than one in a hundred apart."""
    if judged.ours is None:
        return False
    return abs(judged.ours - judged.theirs) * 100 > max(judged.ours, judged.theirs)
