"""From the pinned genai-prices release and an overrides file to a card table.

Prices are never fetched at run time: the same release and file give the same table, byte for byte,
and `price_version` names both. What genai-prices leaves open is decided here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import data
from genai_prices import types as upstream
from genai_prices.types import ModelPrice, StartDateConstraint, TieredPrices

from tokentide_jobs.core.price.cards import (
    DAY_US,
    Card,
    CardTable,
    ModelCards,
    ProviderCards,
    Rate,
    rate_pico_usd,
)
from tokentide_jobs.core.price.matching import compile_clause
from tokentide_jobs.core.price.units import UNIT_DENOMINATORS
from tokentide_jobs.io.files.our_prices import our_prices_content, parse_corrections
from tokentide_jobs.io.files.price_overrides import parse_price_file
from tokentide_jobs.io.files.yaml_entries import content_of
from tokentide_jobs.settings.origins import origin_of

__all__ = ["COMPILER_REVISION", "NOT_OFFERED", "PINNED_RELEASE", "compile_cards"]

COMPILER_REVISION = 10
"""Raised whenever the same release and overrides would give other prices than before."""

PINNED_RELEASE = ("0.2.3", date(2026, 11, 12))
"""The release of genai-prices, and the first day on which it was out: cards without a date are
known to hold from then on, and of earlier calls they say nothing for certain."""

_MINIMUM_SECONDS = (("audio_seconds", 10), ("input_audio_seconds", 10))
_BILLED_BY_MINIMUM = {
    ("groq", "whisper-large-v3"): _MINIMUM_SECONDS,
    ("groq", "whisper-large-v3-turbo"): _MINIMUM_SECONDS,
}
"""Least amounts billed per call; genai-prices has them in code, not in its data."""

NOT_OFFERED = frozenset({("openai", "gpt-oss-120b"), ("openai", "gpt-oss-20b")})
"""Models on the list of a provider that does not sell them: open weights that others serve, each at
a price of its own. A call that names them there went to another host, so it has no price."""


def compile_cards(overrides_path: Path | None = None) -> CardTable:
    """Compile the card table of this installation.

    Args:
        overrides_path: The overrides file; None for list prices only.

    Raises:
        ConfigError: The file cannot be read, or holds at least one bad entry; all of them are
            named with their lines and none is used.
    """
    if overrides_path is None:
        return _compile(b"", "")
    content = content_of(
        overrides_path, "price overrides", f"correct {origin_of('prices_file')} or remove it"
    )
    return _compile(content, str(overrides_path))


@lru_cache(maxsize=4)
def _compile(content: bytes, name: str) -> CardTable:
    file = parse_price_file(content, name)
    ours = our_prices_content()
    seed = f"compiler {COMPILER_REVISION}\n{hashlib.sha256(ours).hexdigest()}\n"
    digest = hashlib.sha256(seed.encode() + content).hexdigest()
    return CardTable(
        price_version=f"genai-prices-{version('genai-prices')}+{digest[:10]}",
        providers=_base_providers(),
        overrides=file.overrides,
        corrections=parse_corrections(ours),
        aliases=file.aliases,
    )


@lru_cache(maxsize=1)
def _base_providers() -> tuple[ProviderCards, ...]:
    compiled = []
    for provider in data.providers:
        compiled.append(
            ProviderCards(
                provider=provider.id,
                match=_clause(provider.provider_match) if provider.provider_match else "",
                fallbacks=tuple(provider.fallback_model_providers or ()),
                models=tuple(_model(provider.id, model) for model in provider.models),
                known_since_us=_midnight_us(PINNED_RELEASE[1]),
            )
        )
    return tuple(compiled)


def _model(provider: str, model: upstream.ModelInfo) -> ModelCards:
    if (provider, model.id) in NOT_OFFERED:
        return ModelCards(model.id, _clause(model.match), (Card({}),))
    if isinstance(model.prices, ModelPrice):
        standard = [Card(_rates(model.prices))]
    else:
        standard = [Card(_rates(entry.prices), **_when(entry.constraint)) for entry in model.prices]
    if not any(card.rates for card in standard) and model.id.endswith(":free"):
        # Listed with no rates because it is free, as its name says; other models without rates
        # (retired, by subscription, not yet collected) stay unpriced instead of costing nothing.
        standard = [Card({"input_tokens": Rate(0), "output_tokens": Rate(0)})]
    variants = [
        Card(_rates(entry.prices), **_when(entry.constraint), context=tuple(entry.when.items()))
        for entry in model.price_variants or ()
    ]
    minimums = _BILLED_BY_MINIMUM.get((provider, model.id), ())
    return ModelCards(model.id, _clause(model.match), tuple(standard), tuple(variants), minimums)


def _rates(prices: upstream.ModelPrice) -> dict[str, Rate]:
    rates: dict[str, Rate] = {}
    for key, value in sorted(prices.__dict__.items()):
        if value is None:
            continue
        unit, per = UNIT_DENOMINATORS[key]
        rates[unit] = _rate(value, per)
    return rates


def _rate(value: Decimal | upstream.TieredPrices, per: int) -> Rate:
    if isinstance(value, TieredPrices):
        tiers = tuple((tier.start, rate_pico_usd(tier.price, per)) for tier in value.tiers)
        return Rate(rate_pico_usd(value.base, per), tiers)
    return Rate(rate_pico_usd(value, per))


def _when(constraint: Any) -> dict[str, Any]:
    if constraint is None:
        return {}
    if isinstance(constraint, StartDateConstraint):
        return {"valid_from_us": _midnight_us(constraint.start_date)}
    edges = (constraint.start_time, constraint.end_time)
    return {"daily_us": (_moment_us(edges[0]), _moment_us(edges[1]))}


def _midnight_us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US


def _moment_us(moment: time) -> int:
    """Return the UTC microsecond of the day; times without a zone are UTC, as upstream."""
    offset = moment.utcoffset() or timedelta()
    naive = datetime.combine(date(1970, 1, 2), moment.replace(tzinfo=None), tzinfo=UTC)
    since = naive - offset - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) % DAY_US


def _clause(clause: Any) -> str:
    """Write a match clause of genai-prices as JSON text, and make sure it reads back."""
    text = json.dumps(_plain(clause), separators=(",", ":"), ensure_ascii=False)
    compile_clause(text)
    return text


def _plain(clause: Any) -> dict[str, Any]:
    (only,) = dataclasses.fields(clause)
    value = getattr(clause, only.name)
    if isinstance(value, list):
        return {only.name.rstrip("_"): [_plain(part) for part in value]}
    return {only.name: value}
