"""Counts and lists as people write them: `1 row`, `2,000 rows`, `a, b and 3 further`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the count, thousands separated, and the noun in the number that it takes.

    Args:
        number: How many.
        noun: For one.
        plural: For none and several, where an `s` at the end does not make it.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(texts: Sequence[str], most: int) -> str:
    """Return the texts with commas; of more than `most` the first, and how many further ones."""
    further = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {further:,} further" if further > 0 else "")
