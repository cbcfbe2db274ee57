"""Which price list and which model a name stands for: the search, remembered.

Providers repeat a few hundred model names for ever; each is searched once per process. The memory
is bounded, so that a stream of made-up names costs time but never space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from tokentide_jobs.core.price.cards import CardTable, ModelCards, ProviderCards
from tokentide_jobs.core.price.matching import canonical_dated_name, compile_clause, split_exact
from tokentide_jobs.core.price.vocabulary import PROVIDER_ALIASES

__all__ = ["find_model", "find_provider"]

_REMEMBERED = 20_000
"""Names remembered per table; beyond it the memory starts afresh."""

_UNSEEN = "unseen"
_Found = tuple[str, ModelCards] | None


@dataclass(frozen=True, slots=True)
class _Index:
    """A price list prepared for search: exact names, and (position, predicate) for the rest."""

    exact: dict[str, int]
    patterns: tuple[tuple[int, Callable[[str], bool]], ...]


def find_provider(cards: CardTable, name: str) -> str | None:
    """Return the id of the price list a provider name stands for: alias, id, then its clauses."""
    name = name.strip().lower()
    name = PROVIDER_ALIASES.get(name, name)
    if name in cards.provider_by_id:
        return name
    for provider in cards.providers:
        if provider.match and compile_clause(provider.match)(name):
            return provider.provider
    return None


def find_model(cards: CardTable, provider: str, name: str) -> _Found:
    """Return (provider whose list has it, cards) of a lower-case model name, or None."""
    memory = cast("dict[tuple[str, str], _Found | str]", cards.memo.setdefault("models", {}))
    key = (provider, name)
    found = memory.get(key, _UNSEEN)
    if isinstance(found, str):
        found = _search(cards, provider, name)
        if found is None and (dated := canonical_dated_name(name)) != name:
            found = _search(cards, provider, dated)
        if len(memory) >= _REMEMBERED:
            memory.clear()
        memory[key] = found
    return found


def _search(cards: CardTable, provider: str, name: str) -> _Found:
    own = cards.provider_by_id.get(provider)
    if own is None:
        return None
    for candidate in (own, *(cards.provider_by_id.get(other) for other in own.fallbacks)):
        if candidate is not None:
            position = _position(_index(cards, candidate), name)
            if position is not None:
                return candidate.provider, candidate.models[position]
    return None


def _position(index: _Index, name: str) -> int | None:
    """Return the first model that matches, as a walk through the list in order would."""
    exact = index.exact.get(name)
    for position, matches in index.patterns:
        if exact is not None and position >= exact:
            break
        if matches(name):
            return position
    return exact


def _index(cards: CardTable, candidate: ProviderCards) -> _Index:
    indexes = cast("dict[str, _Index]", cards.memo.setdefault("indexes", {}))
    if candidate.provider not in indexes:
        exact: dict[str, int] = {}
        patterns: list[tuple[int, Callable[[str], bool]]] = []
        for position, model in enumerate(candidate.models):
            names, predicate = split_exact(model.match)
            for known in names:
                exact.setdefault(known, position)
            if predicate is not None:
                patterns.append((position, predicate))
        indexes[candidate.provider] = _Index(exact, tuple(patterns))
    return indexes[candidate.provider]
