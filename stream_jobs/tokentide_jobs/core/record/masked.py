"""Free text, masked: what a refused event holds may be a prompt, or a message of a provider.

A word stays, as do numbers and the form of what is masked: a text with a blank in it loses its
letters and digits, one `x` for each, and nothing else. What looks like a credential is no word.
Where no JSON is, a number of more than six digits may be one of a card or a phone. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tokentide_jobs.core.record.split import BOM
from tokentide_schemas.fields import KEY_PATTERN

__all__ = ["masked_bytes", "masked_text", "masked_value"]

_WORD: Final = re.compile(r"[A-Za-z0-9_.:/@+-]{0,64}")
"""An id, the name of a model or of a class, a number: a sentence has blanks."""
_CREDENTIAL: Final = re.compile(rf"{KEY_PATTERN}|://.*@")
"""A key of a provider, or a URL with a user and a password."""
_CHARACTER: Final = re.compile(r"\w")
_TEXT_OR_REST: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[^"]+', re.DOTALL)
"""What stands in quotes, to the end where they are not closed, and what stands between."""
_NUMBER: Final = rb"\d(?:(?:[-+.()/ \t\d]|\xc2\xa0|\xe2\x80\xaf)*\d)?(?:[eE][-+]?\d+)?"
"""Numbers apart by blanks (also those that break no line) are one, as people write long ones."""
_BARE: Final = re.compile(rb"\b(?:true|false|null|NaN|Infinity|" + _NUMBER + rb")\b")
"""What JSON has without quotes."""
_DIGIT: Final = re.compile(rb"\d")
_MOST_DIGITS: Final = 6
_BYTE: Final = re.compile(rb"[A-Za-z0-9_\x80-\xff]")


def masked_text(text: str) -> str:
    """Return a word as it is, and any other text without its content."""
    return text if _is_word(text) else _CHARACTER.sub("x", text)


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
    mark = BOM if value.startswith(BOM) else b""
    return mark + _TEXT_OR_REST.sub(lambda match: _masked_piece(match[0]), value[len(mark) :])


def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None and _CREDENTIAL.search(text) is None


def _masked_piece(piece: bytes) -> bytes:
    if piece[:1] == b'"':
        is_closed = len(piece) > 1 and piece.endswith(b'"')
        is_word = is_closed and _is_word(piece[1:-1].decode("latin-1"))
        return piece if is_word else _BYTE.sub(b"x", piece)
    kept: list[bytes] = []
    at = 0
    for bare in _BARE.finditer(piece):
        is_short = len(_DIGIT.findall(bare[0])) <= _MOST_DIGITS
        shown = bare[0] if is_short else _BYTE.sub(b"x", bare[0])
        kept += [_BYTE.sub(b"x", piece[at : bare.start()]), shown]
        at = bare.end()
    return b"".join([*kept, _BYTE.sub(b"x", piece[at:])])
