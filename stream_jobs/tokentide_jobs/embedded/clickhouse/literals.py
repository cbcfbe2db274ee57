"""Values and names as SQL text."""

from __future__ import annotations

from collections.abc import Mapping


def quote(text: str) -> str:
    """Write a ClickHouse string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def quote_bytes(text: bytes) -> bytes:
    """Write a ClickHouse string literal of any bytes."""
    escaped = text.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\0", b"\\0")
    return b"'" + escaped + b"'"


def quote_name(name: str) -> str:
    """Write a ClickHouse identifier in backticks."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def set_statement(values: Mapping[str, str]) -> str:
    """Write `SET a = 'x', b = 'y'`; the engine reads text for settings of every type."""
    return "SET " + ", ".join(f"{name} = {quote(value)}" for name, value in values.items())
