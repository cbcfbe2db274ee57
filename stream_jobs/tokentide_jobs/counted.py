"""A count with its noun, as people write it: `1 row`, `2,000 rows`. Pure."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the count, thousands separated, and the noun in the number that it takes.

    Args:
        number: How many.
        noun: For one.
        plural: For none and several, where an `s` at the end does not make it.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
