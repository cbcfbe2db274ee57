"""Reading OTLP's JSON: lists, attributes, 64-bit numbers as text, ids in hex.

Lenient where writers differ, strict where a record is not what OTLP says. Pure.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

__all__ = [
    "NotOtlp",
    "attributes_of",
    "hex_id",
    "listed",
    "nanoseconds",
    "scopes_of",
    "text_of",
    "value_of",
]

_HEX: Final = frozenset("0123456789abcdef")
_MAX_NS: Final = 1 << 63


class NotOtlp(ValueError):
    """Where a record is not what OTLP says."""


def listed(holder: Any, name: str) -> list[Any]:
    """Return a repeated field; absent and null are empty, as in protobuf."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise NotOtlp(f"{name} is no list")
    if not all(isinstance(item, dict) for item in value):
        raise NotOtlp(f"{name} holds something that is no object")
    return value


def scopes_of(request: dict[str, Any], signal: str) -> Iterator[tuple[Any, Any]]:
    """Yield every scope of one signal with the resource around it."""
    for group in listed(request, f"resource{signal}"):
        resource = group.get("resource") or {}
        if not isinstance(resource, dict):
            raise NotOtlp("resource is no object")
        for scope in listed(group, f"scope{signal}"):
            yield scope, resource


def attributes_of(holder: dict[str, Any]) -> dict[str, object]:
    """Return attributes by name; of a repeated name the last counts, maps are left out."""
    found: dict[str, object] = {}
    for attribute in listed(holder, "attributes"):
        name, value = attribute.get("key"), value_of(attribute.get("value"))
        if isinstance(name, str) and value is not None:
            found[name] = value
    return found


def value_of(value: Any) -> object:
    """Return what an AnyValue holds; None for maps, bytes and what is none."""
    if not isinstance(value, dict):
        return None
    for kind, held in value.items():
        if kind == "stringValue" and isinstance(held, str):
            return held
        if kind == "boolValue" and isinstance(held, bool):
            return held
        if kind == "intValue":
            return _integer(held)
        if kind == "doubleValue" and isinstance(held, (int, float)):
            return float(held)
        if kind == "arrayValue" and isinstance(held, dict):
            items = held.get("values")
            # Arrays of arrays are not followed: nothing that is read comes in them.
            flat = items if isinstance(items, list) else []
            return [value_of(item) for item in flat if _is_scalar(item)]
    return None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, dict) and not value.keys() & {"arrayValue", "kvlistValue"}


def _integer(value: Any) -> int | None:
    """Return a 64-bit integer, which JSON holds as text, or as a number from lenient writers."""
    if isinstance(value, str):
        digits = value[1:] if value[:1] == "-" else value
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
            return None
        value = int(value)
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and -_MAX_NS <= value < _MAX_NS else None


def nanoseconds(holder: dict[str, Any], name: str) -> int:
    """Return a time; one that is absent or absurd is 0."""
    return max(0, _integer(holder.get(name)) or 0)


def text_of(value: Any) -> str:
    """Return a text, "" for everything else."""
    return value if isinstance(value, str) else ""


def hex_id(value: Any, digits: int) -> str:
    """Return an id in hex; base64, which plain protobuf JSON writes, is understood too."""
    if not isinstance(value, str):
        return ""
    lowered = value.lower()
    if len(lowered) != digits or not _HEX.issuperset(lowered):
        try:
            lowered = base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            return ""
    # All zeros means "none".
    return lowered if len(lowered) == digits and lowered.strip("0") else ""
