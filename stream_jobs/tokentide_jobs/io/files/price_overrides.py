"""The overrides file: negotiated, self-hosted and corrected prices in YAML.

The file is taken whole or refused whole: every bad entry is reported with file, line and reason in
one error, so that no worker runs on half of the prices. Numbers are read from the text as decimals;
no price ever passes through a float.
"""

from __future__ import annotations

from typing import NamedTuple

from yaml.nodes import MappingNode, Node

from tokentide_jobs.core.price.cards import NameAlias, Override
from tokentide_jobs.core.price.vocabulary import CallTerms, tier_context
from tokentide_jobs.io.files.price_values import instant_us, multiplier, rates_of
from tokentide_jobs.io.files.yaml_entries import (
    Problems,
    entry_fields,
    mapping,
    two_lists,
    value_text,
)

__all__ = ["PriceFile", "parse_price_file"]

_CONTEXT_FIELDS = ("service_tier", "processing", "speed", "inference_geo")
_FIELDS = (
    "provider",
    "model",
    "tenant",
    "valid_from",
    "valid_to",
    "rates",
    "multiplier",
    "reason",
    *_CONTEXT_FIELDS,
)


class PriceFile(NamedTuple):
    """What a prices file holds, in file order."""

    overrides: tuple[Override, ...]
    aliases: tuple[NameAlias, ...]


def parse_price_file(content: bytes, name: str) -> PriceFile:
    """Read a prices file: overrides, and aliases of model names.

    Args:
        content: The file's bytes.
        name: Its name, for messages.

    Raises:
        ConfigError: At least one entry is bad; the message lists every problem with its line.
    """
    problems = Problems(name, "price overrides")
    found, named = two_lists(content, ("overrides", "aliases"), problems)
    overrides = [_override(node, problems) for node in found]
    aliases = [_alias(node, problems) for node in named]
    problems.raise_if_any()
    return PriceFile(
        tuple(one for one in overrides if one is not None),
        tuple(one for one in aliases if one is not None),
    )


def _alias(node: Node, problems: Problems) -> NameAlias | None:
    before = len(problems.found)
    fields = entry_fields(node, ("provider", "name", "model", "reason"), (), "an alias", problems)
    if fields is None:
        return None
    values = {key: value_text(key, value, problems) for key, value in fields.items()}
    if len(problems.found) > before:
        return None
    return NameAlias(
        line=node.start_mark.line + 1,
        provider=values["provider"].lower(),
        name=values["name"].lower(),
        model=values["model"].lower(),
        reason=values["reason"],
    )


def _override(node: Node, problems: Problems) -> Override | None:
    before = len(problems.found)
    fields = mapping(node, _FIELDS, "an entry", problems)
    texts = {
        key: _text(key, fields[key], problems)
        for key in ("provider", "model", "tenant", "reason", *_CONTEXT_FIELDS)
        if key in fields
    }
    if isinstance(node, MappingNode):
        for required in ("provider", "model", "reason"):
            if required not in fields:
                problems.add(node, f"{required}: missing")
        if ("rates" in fields) == ("multiplier" in fields):
            problems.add(node, "give either rates or multiplier, and only one of them")
    valid_from = instant_us("valid_from", fields, problems)
    valid_to = instant_us("valid_to", fields, problems)
    if valid_from is not None and valid_to is not None and valid_to <= valid_from:
        problems.add(fields["valid_to"], "valid_to: not after valid_from (it is exclusive)")
    rates = rates_of(fields["rates"], problems) if "rates" in fields else {}
    factor = multiplier(fields["multiplier"], problems) if "multiplier" in fields else ""
    if len(problems.found) > before:
        return None
    context = tier_context(
        CallTerms(**{key: texts[key] for key in _CONTEXT_FIELDS if key in texts})
    )
    return Override(
        line=node.start_mark.line + 1,
        provider=texts["provider"].lower(),
        model=texts["model"].lower(),
        tenant=texts.get("tenant", "*"),
        valid_from_us=valid_from,
        valid_to_us=valid_to,
        context=context,
        rates=rates,
        multiplier=factor,
        reason=texts["reason"],
    )


def _text(key: str, node: Node, problems: Problems) -> str:
    found = value_text(key, node, problems)
    if found and key in _CONTEXT_FIELDS and not tier_context(CallTerms(**{key: found})):
        problems.add(
            node,
            f"{key}: {found!r} is the standard service; leave {key} out and the entry "
            "holds for every tier",
        )
    return found
