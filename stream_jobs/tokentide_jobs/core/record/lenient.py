r"""JSON that a strict reader refuses for the sake of one text: read, with U+FFFD in it.

Bytes that are not UTF-8, surrogates without a partner (`\ud800`, or encoded one by one as CESU-8
does) and the words NaN and Infinity cost the text or number they stand in, not the event. A pair of
surrogates becomes its character, everything else U+FFFD. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

__all__ = ["Lenient", "read_unchanged", "with_replacements", "write_unchanged"]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INTEGER_DIGITS: Final = 20


class Lenient(NamedTuple):
    """What was read."""

    content: Any
    texts: int
    """How many texts hold a character that was replaced."""


def with_replacements(body: bytes) -> Lenient | None:
    """Read one JSON value and mend its texts; None when it is not JSON in any reading.

    Everything that a strict reader takes is read with the same values.
    """
    try:
        replacing = _Replacing()
        return Lenient(replacing.of(_parsed(body)), replacing.texts)
    except (ValueError, RecursionError):
        return None


def read_unchanged(body: bytes) -> Any:
    """Read one JSON value as it is, for `write_unchanged`; None when it is not JSON."""
    try:
        return _parsed(body)
    except (ValueError, RecursionError):
        return None


def write_unchanged(value: Any) -> bytes:
    """Write a value back with everything that needs mending still in it."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _parsed(body: bytes) -> Any:
    return json.loads(_decoded(body), parse_int=_number)


def _decoded(body: bytes) -> str:
    """Decode what need not be UTF-8; every byte at fault becomes a surrogate, to be replaced."""
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("utf-8", "surrogateescape")


def _number(digits: str) -> int | float:
    """Read an integer as the strict reader does: beyond 64 bits it is a float."""
    if len(digits) > _INTEGER_DIGITS:
        return float(digits)
    number = int(digits)
    return number if -(1 << 63) <= number < 1 << 64 else float(number)


class _Replacing:
    """Replaces what cannot be encoded, and counts."""

    def __init__(self) -> None:
        self.texts = 0

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {self._text(key): self.of(item) for key, item in value.items()}
        return value

    def _text(self, text: str) -> str:
        if _SURROGATE.search(text) is None:
            return text
        # As UTF-16 a pair is one character again, and what has no partner is an error to replace.
        replaced = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self.texts += "\ufffd" in replaced
        return replaced
