"""How one model is spelled: paths, providers' prefixes, routing suffixes, names of one's own.

Spelling never decides a price: a path or a prefix is taken off before lists, our corrections and
places are asked, unless a list has the whole name as a model's own. A name that moves from model to
model, or that picks a route, is kept apart as an alias.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.matching import glob_pattern
from tokentide_jobs.core.price.model_index import find_model, find_provider
from tokentide_jobs.core.price.vocabulary import PROVIDER_ALIASES, CallTerms

__all__ = ["is_moving", "spellings"]

_PATH = re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?models/(.+)")
"""Google's resource names: `models/x`, `publishers/google/models/x`, with or without a project."""
_ARN = re.compile(r"arn:aws[^:]*:bedrock:[^/]*:(?:inference-profile|foundation-model)/(.+)")
"""Bedrock's resources whose last part is a model id; an application profile's is not."""
_ROUTES = re.compile(r"(.+):(?:online|nitro|floor|exacto|extended|thinking|beta)")
"""OpenRouter's suffixes, which change the route or add a service, not the model."""
_MOVING = re.compile(r"(?:^|[-:@])latest(?:$|[-:@])")
_MOVING_AT = {"deepseek": {"deepseek-chat", "deepseek-reasoner"}}
"""Names without a version that a provider gives to each of its models in turn."""


def spellings(cards: CardTable, call: CallTerms, provider: str) -> Iterator[tuple[str, str]]:
    """Yield the names to look a call's model up under, the likeliest first; lower case.

    Each comes with the name as it was spelled: overrides may be written for either.

    Args:
        cards: The price table, with the aliases of the overrides file.
        call: What the event says.
        provider: Id of the price list.
    """
    seen: set[str] = set()
    for asked in call.model_names():
        aliased = _aliased(cards, call, provider, asked)
        names = [(name, asked) for name in _forms(cards, provider, asked)]
        for name, spelled in ((aliased, aliased), *names):
            if name and name not in seen:
                seen.add(name)
                yield name, spelled


def is_moving(call: CallTerms, provider: str, name: str) -> bool:
    """Tell whether the price of a name may be another one tomorrow, or on another route."""
    if _MOVING.search(name) or name in _MOVING_AT.get(provider, ()):
        return True
    asked = call.request_model.strip().lower()
    return provider == "openrouter" and _ROUTES.fullmatch(asked) is not None


def _aliased(cards: CardTable, call: CallTerms, provider: str, name: str) -> str:
    raw = call.provider.strip().lower()
    chosen = ""
    for alias in cards.aliases:
        is_provider = glob_pattern(alias.provider)
        same = is_provider(raw) or is_provider(provider)
        same = same or PROVIDER_ALIASES.get(alias.provider) == provider
        if same and glob_pattern(alias.name)(name):
            chosen = alias.model
    return chosen


def _forms(cards: CardTable, provider: str, name: str) -> Iterator[str]:
    resource = _PATH.fullmatch(name) or _ARN.fullmatch(name)
    if resource is not None:
        yield resource[1]
    prefix, _, rest = name.partition("/")
    if rest and find_provider(cards, prefix) == provider and not _is_own(cards, provider, name):
        yield rest
    yield name
    routed = _ROUTES.fullmatch(name) if provider == "openrouter" else None
    if routed is not None:
        yield routed[1]


def _is_own(cards: CardTable, provider: str, name: str) -> bool:
    """Tell whether a list has a model of that very id, such as Perplexity's `perplexity/sonar`."""
    found = find_model(cards, provider, name)
    return found is not None and found[1].model.lower() == name
