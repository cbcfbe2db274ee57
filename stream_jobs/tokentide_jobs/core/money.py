"""Money as people write and read it, and as everything here counts it: whole pico-USD.

Both directions are exact: an amount that is no whole number of pico-USD is refused, never rounded.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

__all__ = ["exact_pico_usd", "format_usd", "usd"]

_DECIMALS: Final = 12


def usd(pico_usd: int) -> str:
    """Return pico-USD as a decimal number of dollars, exact: `12.000000000001`."""
    return format(Decimal(pico_usd).scaleb(-_DECIMALS), "f")


def format_usd(pico_usd: int) -> str:
    """Write pico-USD as dollars, exactly, with twelve decimals less trailing zeros."""
    sign, digits = "-" if pico_usd < 0 else "", f"{abs(pico_usd):013d}"
    whole, fraction = digits[:-12], digits[-12:].rstrip("0")
    return f"{sign}{int(whole):,}.{fraction or '0'}"


def exact_pico_usd(dollars: Decimal) -> int:
    """Return dollars as pico-USD.

    Raises:
        ValueError: They are no whole number of them.
    """
    pico = dollars.scaleb(_DECIMALS)
    if pico != pico.to_integral_value():
        raise ValueError(f"{dollars} is finer than a pico-USD, the twelfth decimal")
    return int(pico)
