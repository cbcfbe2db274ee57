"""Values and names as SQL text."""

from __future__ import annotations

from collections.abc import Mapping


def quote(text: str) -> str:
    """A ClickHouse string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def quote_name(name: str) -> str:
    """A ClickHouse identifier in backticks."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def set_statement(values: Mapping[str, str]) -> str:
    """`SET a = 'x', b = 'y'`; the engine reads every setting from its text form."""
    return "SET " + ", ".join(f"{name} = {quote(value)}" for name, value in values.items())
