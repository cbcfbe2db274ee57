"""Free text, masked: what a refused event holds may be a prompt, or a message of a provider.

A word stays, as do numbers and the form of what is masked: a text with a blank in it loses its
letters and digits, one `x` for each, and nothing else. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["masked_bytes", "masked_text", "masked_value"]

_WORD: Final = r"[A-Za-z0-9_.:/@+-]{0,64}"
"""An id, the name of a model or of a class, a number: a sentence has blanks."""
_IS_WORD: Final = re.compile(_WORD)
_CHARACTER: Final = re.compile(r"\w")
_TEXT_OR_REST: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[^"]+', re.DOTALL)
"""What stands in quotes, to the end where they are not closed, and what stands between."""
_QUOTED_WORD: Final = re.compile(rb'"' + _WORD.encode() + rb'"')
_BARE: Final = re.compile(rb"\b(?:true|false|null|NaN|-?Infinity|[-+.\d]+(?:[eE][-+]?\d+)?)\b")
_BYTE: Final = re.compile(rb"[A-Za-z0-9_\x80-\xff]")


def masked_text(text: str) -> str:
    """Return a word as it is, and any other text without what it says."""
    return text if _IS_WORD.fullmatch(text) else _CHARACTER.sub("x", text)


def masked_value(value: Any) -> Any:
    """Return a JSON value with every text in it masked, names of fields too."""
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, list):
        return [masked_value(each) for each in value]
    if isinstance(value, dict):
        return {masked_text(name): masked_value(each) for name, each in value.items()}
    return value


def masked_bytes(value: bytes) -> bytes:
    """Return what cannot be read as JSON masked: of the same length, with its signs in place."""
    return _TEXT_OR_REST.sub(lambda match: _masked_piece(match[0]), value)


def _masked_piece(piece: bytes) -> bytes:
    if piece[:1] == b'"':
        return piece if _QUOTED_WORD.fullmatch(piece) else _BYTE.sub(b"x", piece)
    kept: list[bytes] = []
    at = 0
    for bare in _BARE.finditer(piece):
        kept += [_BYTE.sub(b"x", piece[at : bare.start()]), bare[0]]
        at = bare.end()
    return b"".join([*kept, _BYTE.sub(b"x", piece[at:])])
