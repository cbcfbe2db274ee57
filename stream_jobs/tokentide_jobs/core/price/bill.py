"""Billing one call in plain integers: its leaves, its other units, its cost by class.

The slow, obvious form of what `pricing` does in columns. It prices the calls that do not fit there
(products beyond 64 bits, units that are not tokens) and gives `explain` its lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tokentide_jobs.core.price.lookup import Price
from tokentide_jobs.core.price.units import (
    CACHED_IMAGES,
    COST_CLASSES,
    FREE_UNITS,
    LEAVES,
    OTHER_UNIT_ALIASES,
    PARENT_UNITS,
    PARTS_OF_LEAVES,
    PER_REQUEST,
    UNIT_DENOMINATORS,
    CostClass,
)

__all__ = ["UNITS_IN_OTHER", "Bill", "Line", "bill", "leaf_counts"]

_TOKENS_IN_OTHER = frozenset({CACHED_IMAGES, "output_citation_tokens", "output_video_tokens"})
UNITS_IN_OTHER: frozenset[str] = frozenset(
    unit
    for unit, _ in UNIT_DENOMINATORS.values()
    if unit in _TOKENS_IN_OTHER
    or not (unit.endswith("_tokens") or unit in (PER_REQUEST, "web_searches"))
)
"""Units billed from `other_units`; most tokens, web searches and the request fee have fields."""

_LEAF_OF = {leaf.name: index for index, leaf in enumerate(LEAVES)}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill.

    Attributes:
        name: What was used.
        amount: How much; exact.
        unit: The unit whose rate was taken, or the empty string when there is none.
        rate: Pico-USD per unit.
        cost: Pico-USD, rounded half to even when the amount is fractional.
        cost_class: Where it is counted.
        is_own: Whether the unit has a price of its own.
    """

    name: str
    amount: int | Fraction
    unit: str
    rate: int
    cost: int
    cost_class: CostClass
    is_own: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """What one call costs, and what is not certain about it.

    Attributes:
        lines: One per leaf and unit used.
        is_trimmed: Details overlapped and were cut to what the totals allow.
        other_priced: Some other unit had a price.
        other_unpriced: Some other unit had none of its own.
    """

    lines: tuple[Line, ...]
    is_trimmed: bool
    other_priced: bool
    other_unpriced: bool

    @property
    def totals(self) -> dict[CostClass, int]:
        """Pico-USD by class; every class is present."""
        totals = dict.fromkeys(COST_CLASSES, 0)
        for line in self.lines:
            totals[line.cost_class] += line.cost
        return totals

    @property
    def total(self) -> int:
        """Pico-USD of the call."""
        return sum(line.cost for line in self.lines)


def bill(usage: Mapping[str, int], other_units: str, price: Price, *, fee: bool) -> Bill:
    """Bill one call in exact integers of any size.

    Args:
        usage: Token counts and `web_searches` by field name; absent is zero.
        other_units: JSON text of the event's field, `{}` or the empty string when absent.
        price: The rates.
        fee: Whether a fee per request is due.
    """
    input_tokens = usage.get("input_tokens", 0)
    used = {} if other_units in ("", "{}") else _other_amounts(other_units, price)
    cached = usage.get("cache_read_tokens", 0) - usage.get("cache_read_audio_tokens", 0)
    counts, is_trimmed = leaf_counts(usage, min(int(used.get(CACHED_IMAGES, 0)), cached))
    counts[-1] = int(fee and PER_REQUEST in price.rates)
    is_unsure = _take_parts(used, counts, price, fee=fee)
    lines = _bill_leaves(counts, price, input_tokens)
    others, any_unpriced = _bill_other_units(used, price, input_tokens)
    return Bill((*lines, *others), is_trimmed, bool(others), any_unpriced or is_unsure)


def leaf_counts(usage: Mapping[str, int], cached_images: int = 0) -> tuple[list[int], bool]:
    """Split token counts into the leaves of `LEAVES`; absent counts are zero.

    Args:
        usage: Token counts and `web_searches` by field name.
        cached_images: How many of the cached tokens are images, where that is known.

    Returns:
        The count of every leaf (the request fee's is 0 here), and whether details overlapped: an
        image that is also cached looks like one that is not, so details are trimmed to what the
        total leaves room for.
    """
    get = usage.get
    total, read, write = (get(f"{k}_tokens", 0) for k in ("input", "cache_read", "cache_write"))
    write_1h, write_long = get("cache_write_1h_tokens", 0), get("cache_write_long_tokens", 0)
    read_audio = get("cache_read_audio_tokens", 0)
    room = max(total - read - write, 0)
    wanted = [max(get("input_audio_tokens", 0) - read_audio, 0)]
    wanted += [max(get("input_image_tokens", 0) - cached_images, 0), get("input_video_tokens", 0)]
    inputs, room, trimmed = _fill(wanted, room)
    output = get("output_tokens", 0)
    asked = [get(f"{k}_tokens", 0) for k in ("output_audio", "output_image", "reasoning")]
    (audio, image, reasoning), text, also_trimmed = _fill(asked, output)
    counts = [room, *inputs]
    counts += [read - read_audio, read_audio, write - write_1h - write_long, write_1h, write_long]
    counts += [text, reasoning, audio, image, get("web_searches", 0), 0]
    return counts, trimmed or also_trimmed


def _fill(wanted: list[int], room: int) -> tuple[list[int], int, bool]:
    taken = []
    for amount in wanted:
        taken.append(min(amount, room))
        room -= taken[-1]
    return taken, room, taken != wanted


def _bill_leaves(counts: list[int], price: Price, input_tokens: int) -> list[Line]:
    """Multiply leaf counts with their rates; unused leaves give no line."""
    lines = []
    for count, leaf in zip(counts, LEAVES, strict=True):
        if count:
            unit = next((unit for unit in leaf.chain if unit in price.rates), "")
            rate = price.rates[unit].at(input_tokens) if unit else 0
            is_own = unit in leaf.chain[: leaf.own]
            lines.append(Line(leaf.name, count, unit, rate, count * rate, leaf.cost_class, is_own))
    return lines


def _other_amounts(text: str, price: Price) -> dict[str, Fraction]:
    """Return what the JSON text of `other_units` says was used, under the units of prices."""
    amounts: dict[str, Fraction] = {}
    for name, amount in json.loads(text, parse_float=str).items():
        unit = OTHER_UNIT_ALIASES.get(name, name)
        amounts[unit] = amounts.get(unit, Fraction(0)) + Fraction(amount)
    used = {
        unit: amount for unit, amount in amounts.items() if amount > 0 and unit not in FREE_UNITS
    }
    for unit, least in price.minimums:
        if unit in used:
            used[unit] = max(used[unit], Fraction(least))
    return used


def _take_parts(used: dict[str, Fraction], counts: list[int], price: Price, *, fee: bool) -> bool:
    """Take units that are part of a leaf out of it when they have a price of their own.

    Those that have none are billed within the leaf and leave `used`. Returns whether the leaf's
    price is not certain to be theirs, or the leaf holds less than was reported of them: what it
    does not hold is not billed.
    """
    is_unsure = False
    requests = int(fee)
    for unit, (leaf, is_own) in PARTS_OF_LEAVES.items():
        if unit not in used:
            continue
        index, amount = _LEAF_OF[leaf], used.pop(unit)
        room = requests if leaf == "request fee" else counts[index]
        if unit not in price.rates:
            # A fee that the card does not list at all is none.
            if leaf != "request fee" or PER_REQUEST in price.rates:
                is_unsure |= not is_own or amount > room
            continue
        part = min(int(amount), room)
        is_unsure |= part != amount
        if part:
            used[unit] = Fraction(part)
            counts[index] = max(counts[index] - part, 0)
            requests -= part if leaf == "request fee" else 0
    return is_unsure


def _bill_other_units(
    used: Mapping[str, Fraction], price: Price, input_tokens: int
) -> tuple[list[Line], bool]:
    """Price the amounts of `other_units`.

    A unit that is part of another (annotated pages of all pages) is taken out of the whole when it
    has a price of its own and billed within the whole when it has none. Returns the lines, and
    whether some unit had no price of its own.
    """
    billed = dict(used)
    any_unpriced = False
    for unit, amount in used.items():
        parent = PARENT_UNITS.get(unit, "")
        if unit in price.rates and unit in UNITS_IN_OTHER:
            if parent in billed:
                billed[parent] = max(billed[parent] - amount, Fraction(0))
            continue
        any_unpriced = True
        del billed[unit]
        if parent in price.rates and parent not in used:
            billed[parent] = billed.get(parent, Fraction(0)) + amount
    lines = []
    for unit, amount in billed.items():
        rate = price.rates[unit].at(input_tokens)
        cost = round(rate * amount)
        leaf, _ = PARTS_OF_LEAVES.get(unit, ("", False))
        cost_class = LEAVES[_LEAF_OF[leaf]].cost_class if leaf else "other"
        lines.append(Line(unit, amount, unit, rate, cost, cost_class, unit in used))
    return lines, any_unpriced
