"""Values and names as SQL text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_ESCAPE = re.compile(r"(?:\\(.)|'('))", re.DOTALL)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


def quote(text: str) -> str:
    """Write a ClickHouse string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def unquote(literal: str) -> str:
    """Read a string literal, its quotes included; the reverse of quote()."""
    return _ESCAPE.sub(lambda match: _PLAIN.get(match[1], match[1] or match[2]), literal[1:-1])


def quote_name(name: str) -> str:
    """Write a ClickHouse identifier in backticks."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def set_statement(values: Mapping[str, str], literals: Mapping[str, str] | None = None) -> str:
    """`SET a = 'x', b = {'y': 'z'}`.

    Args:
        values: Settings in text form, which the engine reads for settings of every type.
        literals: Settings whose values are SQL literals already.
    """
    parts = [f"{name} = {quote(value)}" for name, value in values.items()]
    parts += [f"{name} = {literal}" for name, literal in (literals or {}).items()]
    return "SET " + ", ".join(parts)
