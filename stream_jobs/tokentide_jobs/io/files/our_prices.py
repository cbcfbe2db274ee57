"""Our own prices: what the pinned list lacks, each entry with its source and the day it was read.

The file is part of the installation and is read whole or not at all; a mistake in it stops every
command with file, line and reason, as one in the overrides file does.
"""

from __future__ import annotations

from importlib.resources import files

from yaml.nodes import Node

from tokentide_jobs.core.price.cards import PriceCorrection
from tokentide_jobs.io.files.price_values import instant_us, multiplier, rates_of
from tokentide_jobs.io.files.yaml_entries import Problems, entries, entry_fields, texts, value_text

__all__ = ["our_prices_content", "parse_corrections"]

_NAME = "our_prices.yaml"
_REQUIRED = ("provider", "models", "source", "checked")
_OPTIONAL = ("places", "valid_from", "valid_to", "rates", "multiplier")


def our_prices_content() -> bytes:
    """Return the bytes of the file of this installation."""
    return files("tokentide_jobs.io.files").joinpath(_NAME).read_bytes()


def parse_corrections(content: bytes) -> tuple[PriceCorrection, ...]:
    """Read the entries.

    Raises:
        ConfigError: At least one entry is bad; the message lists every problem with its line.
    """
    problems = Problems(_NAME, "our prices")
    found = [_correction(node, problems) for node in entries(content, "corrections", problems)]
    problems.raise_if_any()
    return tuple(entry for entry in found if entry is not None)


def _correction(node: Node, problems: Problems) -> PriceCorrection | None:
    before = len(problems.found)
    fields = entry_fields(node, _REQUIRED, _OPTIONAL, "an entry", problems)
    if fields is None:
        return None
    models = texts(fields["models"])
    places = texts(fields["places"]) if "places" in fields else []
    rates = rates_of(fields["rates"], problems) if "rates" in fields else {}
    factor = multiplier(fields["multiplier"], problems) if "multiplier" in fields else ""
    checked = instant_us("checked", fields, problems)
    source = value_text("source", fields["source"], problems)
    if not models:
        problems.add(fields["models"], "models: expected a list of patterns")
    if bool(rates) == bool(places) or bool(places) != bool(factor):
        problems.add(node, "give either rates, or places with a multiplier")
    if not source.startswith("https://"):
        problems.add(fields["source"], f"source: {source!r} is no https address")
    entry = PriceCorrection(
        provider=value_text("provider", fields["provider"], problems).lower(),
        models=tuple(name.lower() for name in models),
        places=tuple(places),
        valid_from_us=instant_us("valid_from", fields, problems),
        valid_to_us=instant_us("valid_to", fields, problems),
        checked_us=checked or 0,
        rates=rates,
        multiplier=factor,
        source=source,
    )
    return entry if len(problems.found) == before else None
