"""The words of `price_status`: one closed list, from the least certain cost to the most certain.

`exact` is a claim: everything that moves the price is known and on the card. Whatever is short of
it has a word of its own, so that a reader never takes a stand-in for a price. When several hold,
the first of the list is shown; `price_rule` names them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

__all__ = ["STAND_INS", "STATUS_CODES", "STATUS_MEANINGS", "PriceStatus", "least_certain"]

PriceStatus = Literal[
    "unpriced",
    "fallback_tier",
    "partial",
    "resold",
    "fallback_region",
    "alias",
    "undated",
    "override",
    "exact",
]

STATUS_MEANINGS: dict[PriceStatus, str] = {
    "unpriced": "no price, so no cost",
    "fallback_tier": "the tier, speed or processing has no price; the standard rates stand in",
    "partial": "part of the usage is not reported, not priced, or billed at a related price",
    "resold": "the seller has no price of its own for it; the maker's stands in",
    "fallback_region": "the place of the call moves the price, and is not known or has no price",
    "alias": "the name moves, picks a route or says more than the list; the listed one is priced",
    "undated": "no price is known for that date; the one known since stands in",
    "override": "priced by the overrides file",
    "exact": "everything that moves the price is known and has a price of its own",
}
"""Word -> what it means, from the least certain to the most."""

STATUS_CODES: dict[PriceStatus, int] = {
    status: code for code, status in enumerate(reversed(STATUS_MEANINGS))
}
"""Numbers of the words: the greater of two is the less certain."""

STAND_INS = frozenset(STATUS_MEANINGS) - {"unpriced", "override", "exact"}
"""What an overrides file that leaves the price below in force does not hide."""


def least_certain(statuses: Iterable[PriceStatus]) -> PriceStatus:
    """Return the word to show when several hold; `exact` when none does."""
    return max(statuses, key=STATUS_CODES.__getitem__, default="exact")
