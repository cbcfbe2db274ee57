"""JSON as objects with attributes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def attributes(value: Any) -> Any:
    """Return JSON as objects with attributes, as these clients give it out."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: attributes(item) for name, item in value.items()})
    return [attributes(item) for item in value] if isinstance(value, list) else value
