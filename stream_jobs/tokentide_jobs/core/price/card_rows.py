"""A card table as plain rows and back: the form it has in ClickHouse.

One row per rate, so that analysts can read prices with SQL; a row without a unit stands for what
has no rate (a provider's names, a model listed without prices). Nothing is lost on the way:
`from_rows(to_rows(cards)) == cards`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypedDict

from tokentide_jobs.core.price.cards import (
    Card,
    CardTable,
    ModelCards,
    NameAlias,
    Override,
    PriceCorrection,
    ProviderCards,
    Rate,
    Rates,
)
from tokentide_jobs.core.tables import PRICE_CARDS
from tokentide_jobs.errors import InvariantViolation

__all__ = ["CARD_COLUMNS", "CardRow", "from_rows", "to_rows"]


class CardRow(TypedDict):
    """One row of the table price_cards; sql/migrations/0005_prices.sql explains the columns."""

    price_version: str
    position: int
    entry: int
    kind: str
    provider: str
    model: str
    match: str
    tenant: str
    card: int
    valid_from_us: int | None
    valid_to_us: int | None
    daily_from_us: int | None
    daily_to_us: int | None
    context: str
    unit: str
    above_input_tokens: int | None
    rate_pico_usd: int | None
    minimums: str
    multiplier: str
    fallbacks: str
    source_line: int
    reason: str


CARD_COLUMNS: tuple[str, ...] = tuple(CardRow.__annotations__)
_NUMBERS = frozenset({"position", "entry", "card", "source_line"})
_NULLABLE = frozenset(name for name, kind in CardRow.__annotations__.items() if "None" in str(kind))
_BLANK: dict[str, Any] = {
    name: None if name in _NULLABLE else 0 if name in _NUMBERS else "" for name in CARD_COLUMNS
}


@dataclass
class _Writer:
    """Collects rows, numbering them."""

    price_version: str
    rows: list[CardRow] = field(default_factory=list)
    entry: int = 0

    def add(self, rates: Rates, **values: object) -> None:
        """Add one row per rate and tier, or one without a unit when there are no rates."""
        for unit, rate in rates.items():
            self._add_row(values, unit=unit, rate_pico_usd=rate.base)
            for above, higher in rate.tiers:
                self._add_row(values, unit=unit, above_input_tokens=above, rate_pico_usd=higher)
        if not rates:
            self._add_row(values)

    def _add_row(self, values: dict[str, object], **more: object) -> None:
        numbers = {"position": len(self.rows), "entry": self.entry}
        row: Any = {**_BLANK, **values, **more, **numbers, "price_version": self.price_version}
        self.rows.append(row)


def to_rows(cards: CardTable) -> list[CardRow]:
    """Write a card table as rows; `position` keeps their order, `entry` what belongs together."""
    writer = _Writer(cards.price_version)
    for provider in cards.providers:
        writer.entry += 1
        writer.add(
            {},
            kind="provider",
            provider=provider.provider,
            match=provider.match,
            fallbacks=json.dumps(provider.fallbacks),
            valid_from_us=provider.known_since_us,
        )
        for model in provider.models:
            writer.entry += 1
            _write_model(writer, provider.provider, model)
    for override in cards.overrides:
        writer.entry += 1
        writer.add(
            override.rates,
            kind="override",
            provider=override.provider,
            model=override.model,
            tenant=override.tenant,
            valid_from_us=override.valid_from_us,
            valid_to_us=override.valid_to_us,
            context=json.dumps(override.context),
            multiplier=override.multiplier,
            source_line=override.line,
            reason=override.reason,
        )
    for alias in cards.aliases:
        writer.entry += 1
        names = {"provider": alias.provider, "model": alias.model, "match": alias.name}
        writer.add({}, kind="alias", source_line=alias.line, reason=alias.reason, **names)
    for correction in cards.corrections:
        writer.entry += 1
        _write_correction(writer, correction)
    return writer.rows


def _write_correction(writer: _Writer, entry: PriceCorrection) -> None:
    match = {"models": entry.models, "places": entry.places, "checked_us": entry.checked_us}
    writer.add(
        entry.rates,
        kind="correction",
        provider=entry.provider,
        model=entry.models[0],
        match=json.dumps(match),
        valid_from_us=entry.valid_from_us,
        valid_to_us=entry.valid_to_us,
        multiplier=entry.multiplier,
        reason=entry.source,
    )


def _write_model(writer: _Writer, provider: str, model: ModelCards) -> None:
    for kind, cards in (("standard", model.standard), ("variant", model.variants)):
        for number, card in enumerate(cards):
            daily = card.daily_us or (None, None)
            writer.add(
                card.rates,
                kind=kind,
                provider=provider,
                model=model.model,
                match=model.match,
                card=number,
                valid_from_us=card.valid_from_us,
                daily_from_us=daily[0],
                daily_to_us=daily[1],
                context=json.dumps(card.context),
                minimums=json.dumps(model.minimums),
            )


def from_rows(rows: Iterable[CardRow]) -> CardTable:
    """Rebuild a card table from all rows of one price version, in any order.

    Raises:
        InvariantViolation: Rows are missing, repeated, or of several versions.
    """
    ordered = sorted(rows, key=lambda row: row["position"])
    versions = sorted({row["price_version"] for row in ordered})
    if len(versions) != 1 or [row["position"] for row in ordered] != list(range(len(ordered))):
        raise InvariantViolation(
            f"price cards of {', '.join(versions) or 'an unknown version'} are incomplete or mixed"
            f" ({len(ordered)} rows): restore the rows of {PRICE_CARDS} from a backup"
        )
    heads: list[CardRow] = []
    models: list[list[ModelCards]] = []
    overrides: list[Override] = []
    aliases: list[NameAlias] = []
    corrections: list[PriceCorrection] = []
    for _, found in groupby(ordered, key=lambda row: row["entry"]):
        group = list(found)
        if group[0]["kind"] == "provider":
            heads.append(group[0])
            models.append([])
        elif group[0]["kind"] == "override":
            overrides.append(_read_override(group))
        elif group[0]["kind"] == "alias":
            aliases.append(_read_alias(group[0]))
        elif group[0]["kind"] == "correction":
            corrections.append(_read_correction(group))
        else:
            models[-1].append(_read_model(group))
    providers = tuple(
        ProviderCards(
            head["provider"],
            head["match"],
            tuple(json.loads(head["fallbacks"])),
            tuple(listed),
            head["valid_from_us"],
        )
        for head, listed in zip(heads, models, strict=True)
    )
    return CardTable(versions[0], providers, tuple(overrides), tuple(corrections), tuple(aliases))


def _read_model(group: list[CardRow]) -> ModelCards:
    head = group[0]
    cards: dict[str, list[Card]] = {"standard": [], "variant": []}
    for (kind, _), found in groupby(group, key=lambda row: (row["kind"], row["card"])):
        rows = list(found)
        start, end = rows[0]["daily_from_us"], rows[0]["daily_to_us"]
        cards[kind].append(
            Card(
                _read_rates(rows),
                rows[0]["valid_from_us"],
                None if start is None or end is None else (start, end),
                _pairs(rows[0]["context"]),
            )
        )
    minimums = tuple((unit, least) for unit, least in json.loads(head["minimums"]))
    standard, variants = tuple(cards["standard"]), tuple(cards["variant"])
    return ModelCards(head["model"], head["match"], standard, variants, minimums)


def _read_override(group: list[CardRow]) -> Override:
    head = group[0]
    return Override(
        line=head["source_line"],
        provider=head["provider"],
        model=head["model"],
        tenant=head["tenant"],
        valid_from_us=head["valid_from_us"],
        valid_to_us=head["valid_to_us"],
        context=_pairs(head["context"]),
        rates=_read_rates(group),
        multiplier=head["multiplier"],
        reason=head["reason"],
    )


def _read_alias(row: CardRow) -> NameAlias:
    return NameAlias(row["source_line"], row["provider"], row["match"], row["model"], row["reason"])


def _read_correction(group: list[CardRow]) -> PriceCorrection:
    head = group[0]
    match = json.loads(head["match"])
    return PriceCorrection(
        provider=head["provider"],
        models=tuple(match["models"]),
        places=tuple(match["places"]),
        valid_from_us=head["valid_from_us"],
        valid_to_us=head["valid_to_us"],
        checked_us=match["checked_us"],
        rates=_read_rates(group),
        multiplier=head["multiplier"],
        source=head["reason"],
    )


def _read_rates(rows: list[CardRow]) -> dict[str, Rate]:
    base: dict[str, int] = {}
    tiers: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        if row["unit"] and row["rate_pico_usd"] is not None:
            if row["above_input_tokens"] is None:
                base[row["unit"]] = row["rate_pico_usd"]
            else:
                tier = (row["above_input_tokens"], row["rate_pico_usd"])
                tiers.setdefault(row["unit"], []).append(tier)
    return {unit: Rate(rate, tuple(tiers.get(unit, ()))) for unit, rate in base.items()}


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in json.loads(text))
