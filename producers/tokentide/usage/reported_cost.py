"""The cost that an answer reports for itself, in pico-dollars, and its source.

Kept beside the computed cost and never used as it. Amounts are read as decimals: a float counts as
the shortest decimal that reads back as it, which is what its writer wrote. Invariant: a cost that
is negative, no number, out of range or only a part of what the call cost is not reported.
"""

from __future__ import annotations

import re
from decimal import Decimal

from tokentide._contract import MAX_IDENTIFIER, MAX_PICO_USD
from tokentide.usage.reading import Fields, Get, getter, label, read

USD = 12
"""Decimal places between a dollar and a pico-dollar."""
_TICK = 2
"""xAI counts in ticks of 1e-10 USD (docs.x.ai/developers/cost-tracking)."""
_OPENROUTER = "openrouter"
_OPENROUTER_HOST = "openrouter.ai"
_MONEY_CHARS = 64
"""Longest text that is read as an amount."""
_AMOUNT = re.compile(r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def pico_usd(value: object, places: int = USD) -> int | None:
    """Return money, as a number or as text, in 1e-12 USD; None for anything else.

    Args:
        value: The amount.
        places: Decimal places between its unit and a pico-dollar.
    """
    try:
        text = str(value) if type(value) in (int, float, str) else ""
        if len(text) > _MONEY_CHARS or not _AMOUNT.fullmatch(text):
            return None  # `Decimal` would also read 1_000, blanks, and digits of other scripts
        picos = Decimal(text).scaleb(places)
        return round(picos) if 0 <= picos <= MAX_PICO_USD else None
    except (ArithmeticError, ValueError):  # an exponent or an integer beyond all bounds
        return None


def reported(picos: int | None, source: str | None) -> Fields:
    """Return the fields of a reported cost, {} when none is known."""
    if picos is None:
        return {}
    return {"reported_cost_pico_usd": picos, "reported_cost_source": source}


def take_cost(fields: Fields, usage: Get) -> None:
    """Add the cost of the call that a usage object reports; nearly all report none.

    Args:
        fields: Where it goes.
        usage: Reads the usage object of a provider in OpenAI's format.
    """
    cost = usage("cost")
    if cost is None:
        ticks = usage("cost_in_usd_ticks")
        if ticks is not None:
            fields.update(reported(pico_usd(ticks, _TICK), "x_ai"))
    elif type(cost) in (int, float, str):
        fields.update(reported(_of_openrouter(pico_usd(cost), usage), _OPENROUTER))
    elif label(read(cost, "currency")) in (None, "USD"):
        fields.update(reported(pico_usd(getter(cost)("total_cost")), "perplexity"))


def _of_openrouter(charged: int | None, usage: Get) -> int | None:
    """Return what a call by way of OpenRouter costs its caller.

    Where the caller brought the key of the provider behind it, `cost` is OpenRouter's fee alone,
    and that provider's own bill stands beside it; on other calls it repeats what `cost` holds.
    """
    if charged is None or usage("is_byok") is not True:
        return charged
    upstream = pico_usd(read(usage("cost_details"), "upstream_inference_cost"))
    return None if upstream is None else charged + upstream


def leave_out_unknown(event: Fields) -> None:
    """Remove a bare `cost` from an event of any provider but OpenRouter: its unit is unknown."""
    if event.get("reported_cost_source") != _OPENROUTER:
        return
    provider = label(event.get("provider")) or ""
    host = label(event.get("server_address"), MAX_IDENTIFIER) or ""
    at_openrouter = f".{host.lower()}".endswith(f".{_OPENROUTER_HOST}")
    if _OPENROUTER not in provider.lower() and not at_openrouter:
        del event["reported_cost_source"], event["reported_cost_pico_usd"]
