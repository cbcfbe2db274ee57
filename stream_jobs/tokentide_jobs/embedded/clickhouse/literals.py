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


def split_arguments(inner: str) -> list[str]:
    """Split the arguments of a type at the commas that are not inside brackets or quotes."""
    parts: list[str] = []
    depth, quote, start, at = 0, "", 0, 0
    while at < len(inner):
        char = inner[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'`\"":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(inner[start:at].strip())
            start = at + 1
        at += 1
    tail = inner[start:].strip()
    return [*parts, tail] if tail else parts
