"""Single attributes of a span or its resource, read under every name the table knows.

Invariant: what is no value of the contract is not reported; nothing raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import cast

from tokentide._contract import (
    MAX_DURATION_MS,
    MAX_IDENTIFIER,
    MAX_PICO_USD,
    MAX_SMALL_COUNT,
    MAX_TOKENS,
)
from tokentide.key_ids import looks_like_a_key
from tokentide.semconv.names import CALL, PROVIDER, USAGE
from tokentide.semconv.providers import provider_name
from tokentide.semconv.span import Attributes
from tokentide.usage.reading import label
from tokentide.usage.reported_cost import pico_usd

_MAX_DIGITS = 12
_MAX_JSON = 4096
"""Longest JSON text of an attribute that is parsed."""


def whole_count(value: object) -> int | None:
    """Return a count in the contract's range, None for anything else.

    Whole floats and digits in a text are counts: exporters write both.
    """
    number = value
    if type(value) is float and value.is_integer():
        number = int(value)
    elif type(value) is str and value.isascii() and value.isdecimal():
        number = int(value) if len(value) <= _MAX_DIGITS else None
    return number if type(number) is int and 0 <= number <= MAX_TOKENS else None


def bounded(value: object, low: int, high: int) -> int | None:
    """Return a whole number between two bounds, both included, None for anything else."""
    number = whole_count(value)
    return number if number is not None and low <= number <= high else None


def finite_number(value: object, high: float = 100.0) -> float | None:
    """Return a number from 0 to `high`, None for anything else."""
    is_number = type(value) is float or type(value) is int
    return float(cast("float", value)) if is_number and 0 <= cast("float", value) <= high else None


def _milliseconds(value: object, scale: float = 1.0) -> float | None:
    number = finite_number(value, MAX_DURATION_MS)
    return None if number is None else number * scale


def _usd_by_part(value: object) -> int | None:
    """Return the whole of a cost that a JSON text gives by part: its `total`, else their sum."""
    if type(value) is not str or len(value) > _MAX_JSON:
        return None
    try:
        parts = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if type(parts) is not dict or not parts:
        return None
    if "total" in parts:
        return pico_usd(parts["total"])
    picos = [pico_usd(part) for part in parts.values()]
    known = [part for part in picos if part is not None]
    total = sum(known)
    return total if len(known) == len(picos) and total <= MAX_PICO_USD else None


def _key_id(value: object) -> str | None:
    """Return the id of a key; what looks like the key itself is not reported."""
    text = label(value)
    return None if text is None or looks_like_a_key(text) else text


_READERS: dict[str, Callable[[object], object]] = {
    "text": label,
    "identifier": lambda value: label(value, MAX_IDENTIFIER),
    "key_id": _key_id,
    "count": whole_count,
    "small_count": lambda value: bounded(value, 0, MAX_SMALL_COUNT),
    "port": lambda value: bounded(value, 0, 65_535),
    "http_status": lambda value: bounded(value, 100, 599),
    "number": finite_number,
    "flag": lambda value: value if type(value) is bool else None,
    "seconds": lambda value: _milliseconds(value, 1000.0),
    "milliseconds": _milliseconds,
    "usd": pico_usd,
    "usd_by_part": _usd_by_part,
}


def _by_attribute() -> dict[str, tuple[str, int, Callable[[object], object]]]:
    """Return field, rank among the field's sources (the lowest is best) and reader."""
    table: dict[str, tuple[str, int, Callable[[object], object]]] = {}
    ranks: dict[str, int] = {}
    for names in (*USAGE, *CALL):
        for source in names.sources:
            rank = ranks[names.field] = ranks.get(names.field, -1) + 1
            table[source.attribute] = (names.field, rank, _READERS[names.kind])
    return table


BY_ATTRIBUTE = _by_attribute()
"""What each attribute fills: field, rank, reader."""
_LAST = 1 << 30
COUNT_FIELDS = tuple(names.field for names in USAGE)
"""Fields that hold token counts."""


def has_unusable_count(attributes: Attributes, counts: Mapping[str, object]) -> bool:
    """Return whether a span states a count that is none: negative, too great, or no number.

    Args:
        attributes: What the span says.
        counts: What could be read of it; a field that another name filled is known all the same.
    """
    for name, value in attributes.items():
        field_name = BY_ATTRIBUTE.get(name, ("",))[0]
        if field_name in COUNT_FIELDS and field_name not in counts and value is not None:
            return True
    return False


def provider_of(attributes: Attributes) -> str | None:
    """Return the conventions' name of the provider that a span names, None when it names none."""
    for source in PROVIDER:
        if name := label(attributes.get(source.attribute)):
            return provider_name(name)
    return None


def table_fields(attributes: Attributes) -> dict[str, object]:
    """Return the fields that single attributes fill; of several for one field the best counts."""
    found: dict[str, object] = {}
    ranks: dict[str, int] = {}
    for name, value in attributes.items():
        entry = BY_ATTRIBUTE.get(name)
        if entry is None:
            continue
        field_name, rank, read = entry
        if ranks.get(field_name, _LAST) <= rank:
            continue
        known = read(value)
        if known is not None:
            found[field_name] = known
            ranks[field_name] = rank
    return found
