"""What windows are summed by before they are judged: levels of dimensions, and names of their keys.

A level without a value is no key: calls without a prompt are not the prompt "".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["DEFAULT_LEVELS", "KeyLevel", "dimensions_of", "key_name", "level_name"]

KeyLevel = tuple[str, ...]
"""Names of dimensions."""

DEFAULT_LEVELS: Final[tuple[KeyLevel, ...]] = (
    ("provider",),
    ("provider", "model"),
    ("service",),
    ("tenant",),
    ("tenant", "model"),
    ("prompt_name", "prompt_version"),
    ("feature",),
)
_PAIR: Final = re.compile(r"([a-z_]+)=((?:[^\\,]|\\.)*)(?:, |$)", re.DOTALL)
_ESCAPED: Final = re.compile(r"([\\,])")


def level_name(level: KeyLevel) -> str:
    """Return what a level is called: `tenant+model`."""
    return "+".join(level)


def key_name(dimensions: Mapping[str, str]) -> str:
    """Return the name of a key: `tenant=acme, model=gpt-4o`; different keys have different ones."""
    return ", ".join(f"{name}={_escaped(text)}" for name, text in dimensions.items())


def dimensions_of(key: str) -> dict[str, str]:
    """Return the dimensions of a key by its name."""
    return {name: re.sub(r"\\(.)", r"\1", text) for name, text in _PAIR.findall(key)}


def _escaped(text: str) -> str:
    return _ESCAPED.sub(r"\\\1", text)
