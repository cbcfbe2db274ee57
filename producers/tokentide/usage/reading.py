"""Reading a provider's response without trusting it.

A response is whatever the provider, its SDK or the host made of it: a dict, a pydantic object, a
mock, an object whose properties raise. Invariant: nothing here raises, runs a loop that the
response sizes, recurses into it, or lets a value through that the event contract would refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import cast

from tokentide._contract import (
    DETAILS_OF_TOTALS,
    MAX_AMOUNT,
    MAX_LABEL,
    MAX_SMALL_COUNT,
    MAX_TOKENS,
    details_fit,
)
from tokentide.finish import error_type_from, normalise, status_from

MAX_ITEMS = 1024
"""Most elements of one list of a response that are looked at."""
MAX_CHARACTERS = 1_000_000
"""Longest text of a request whose characters are counted."""
MAX_REASONS = 64
"""Most finish reasons kept, half of what an event holds: a raw word may stand behind each."""

Fields = dict[str, object]
"""Fields of the event contract by name."""
NOTHING_READ: Mapping[str, object] = MappingProxyType({"usage_source": "missing"})
"""What is recorded of a response that could not be read."""
Get = Callable[[str], object]
"""Returns the value under a name, None when there is none or reading it raises."""


def getter(holder: object) -> Get:
    """Return a function that reads items of a dict or attributes of an object.

    Reads of dicts and of pydantic objects run none of the holder's code. Fields that a pydantic
    model does not declare (what one provider added to another's API) are found as well.
    """
    if type(holder) is dict:
        return holder.get
    if holder is None:
        return _nothing
    try:
        extra = holder.__pydantic_extra__  # type: ignore[attr-defined]
        own = holder.__dict__
        if type(own) is dict:
            if not extra:
                return own.get
            if type(extra) is dict:
                return lambda name: own[name] if name in own else extra.get(name)
    except Exception:  # noqa: S110 - no pydantic object
        pass
    if issubclass(type(holder), dict):
        return lambda name: _item(cast("dict[str, object]", holder), name)
    return lambda name: _attribute(holder, name)


def read(holder: object, *names: str) -> object:
    """Return what stands under a path of names, None where the path ends early."""
    for name in names:
        if holder is None:
            return None
        holder = getter(holder)(name)
    return holder


def _nothing(_name: str) -> object:
    return None


def _item(holder: dict[str, object], name: str) -> object:
    try:
        return dict.get(holder, name)
    except Exception:  # a key of the host's own type that cannot be compared
        return None


def _attribute(holder: object, name: str) -> object:
    try:
        return getattr(holder, name, None)
    except Exception:
        return None


# -- values ---------------------------------------------------------------------------------------


def count(value: object) -> int | None:
    """Return a token count, None for anything that is no whole number in the contract's range."""
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def small_count(value: object) -> int | None:
    """Return a count of things other than tokens, None when it is none."""
    return value if type(value) is int and 0 <= value <= MAX_SMALL_COUNT else None


def whole(value: object) -> int | None:
    """Return a token count that may come as a float (Cohere's do), rounded to the nearest."""
    number = amount(value)
    return None if number is None else count(round(number))


def amount(value: object) -> int | float | None:
    """Return an amount of `other_units`, None when it is no finite number in range."""
    if type(value) is int or type(value) is float:
        return value if 0 <= value <= MAX_AMOUNT else None  # NaN compares false
    return None


def label(value: object, limit: int = MAX_LABEL) -> str | None:
    """Return a text cut to `limit` characters, None when it is empty or no text.

    Members of string enumerations count as their text. Pass `MAX_IDENTIFIER` for models
    and identifiers.
    """
    if type(value) is str:
        return value[:limit] or None
    if issubclass(type(value), str):
        return str.__str__(cast("str", value))[:limit] or None
    return None


def items(value: object, limit: int = MAX_ITEMS) -> Sequence[object]:
    """Return at most `limit` first elements of a list or tuple, nothing for anything else."""
    kind = type(value)
    if kind is list or kind is tuple:
        found = cast("Sequence[object]", value)
        return found if len(found) <= limit else found[:limit]
    if issubclass(kind, list):
        return list.__getitem__(cast("list[object]", value), slice(limit))
    if issubclass(kind, tuple):
        return tuple.__getitem__(cast("tuple[object, ...]", value), slice(limit))
    return ()


def read_first(value: object) -> object:
    """Return the first element of a list or tuple, None when there is none."""
    found = items(value, 1)
    return found[0] if found else None


def total(*counts: int | None) -> int | None:
    """Return the sum of the counts that were reported, None when none was or it is absurd."""
    reported = [number for number in counts if number is not None]
    return count(sum(reported)) if reported else None


# -- results --------------------------------------------------------------------------------------


def kept(fields: Mapping[str, object]) -> Fields:
    """Return the fields without those that are None: absent means not reported."""
    return {name: value for name, value in fields.items() if value is not None}


def take_counts(counts: Fields, get: Get, names: Iterable[tuple[str, str]]) -> None:
    """Add the token counts that are reported.

    Args:
        counts: Where they go; what is there already stays when nothing valid is reported.
        get: Reads the provider's object.
        names: (the provider's name, the event's name) of each.
    """
    for provider_name, field in names:
        value = get(provider_name)
        if type(value) is int and 0 <= value <= MAX_TOKENS:
            counts[field] = value


def take_labels(fields: Fields, get: Get, names: Iterable[tuple[str, str, int]]) -> None:
    """Add the texts that are reported.

    Args:
        fields: Where they go.
        get: Reads the provider's object.
        names: (the provider's name, the event's name, longest text in characters) of each.
    """
    for provider_name, field, limit in names:
        value = get(provider_name)
        if value is not None and (text := label(value, limit)) is not None:
            fields[field] = text


def usage_fields(counts: Mapping[str, object]) -> Fields:
    """Return usage fields that satisfy the event contract, and `usage_source`.

    Args:
        counts: Fields of `tokentide.usage.USAGE_FIELDS`, already in range; None is not reported.
            A detail beyond its total is cut to it, one without a total is left out, and
            details that share a total are cut in the order of the contract. Counts whose
            `usage_source` is `missing` already are not the whole usage, and stay so.
    """
    fields: Fields = {name: value for name, value in counts.items() if value is not None}
    if not details_fit(cast("dict[str, int]", fields)):  # nearly always they fit
        _cut(fields)
    if "other_units" in fields:
        units = cast("Fields", fields.pop("other_units"))
        if units := {name: units[name] for name in units if amount(units[name]) is not None}:
            fields["other_units"] = units
    is_reported = "input_tokens" in fields or "output_tokens" in fields or "other_units" in fields
    is_reported = is_reported and fields.get("usage_source") != "missing"
    fields["usage_source"] = "provider" if is_reported else "missing"
    return fields


def _cut(fields: Fields) -> None:
    for details, whole_name in DETAILS_OF_TOTALS:
        room = cast("int | None", fields.get(whole_name))
        for name in details:
            part = cast("int | None", fields.get(name))
            if part is None:
                continue
            if room is None and part > 0:
                del fields[name]
            elif room is not None:
                fields[name] = taken = min(part, room)
                room -= taken


def finish_fields(reasons: Iterable[object]) -> Fields:
    """Return `finish_reasons`, and `status` when they say that the call did not go well.

    Args:
        reasons: The provider's raw word for each choice; at most `MAX_REASONS` are looked at, and
            what is no text counts as not reported.
    """
    if type(reasons) is list and len(reasons) == 1 and type(reasons[0]) is str:
        words: tuple[str, ...] = (reasons[0][:MAX_LABEL],)  # nearly every call has one choice
    else:
        words = tuple(word for value in islice(reasons, MAX_REASONS) if (word := label(value)))
    found, status = _normalised(words)
    if not found:
        return {}
    fields: Fields = {"finish_reasons": list(found)}
    if status != "ok":
        fields["status"] = status
        if status == "error":
            fields["error_type"] = error_type_from(found)
    return fields


def cut_off() -> Fields:
    """Return the fields of a stream that ended without saying why: it was cut."""
    return {"finish_reasons": ["error"], "status": "error", "error_type": "connection"}


@lru_cache(maxsize=64)
def _normalised(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    found = normalise(words)
    return tuple(found), status_from(found)
