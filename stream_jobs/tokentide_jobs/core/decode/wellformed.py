"""Which lines are certainly well-formed JSON that the column parser takes without raising.

One broken line makes the parser refuse a whole buffer. When it does, this expression sorts the
lines in one linear pass, so that the broken ones cost themselves only. It knows flat objects with
one level of arrays and objects inside, which is all the contract has; anything deeper goes to the
judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from tokentide_jobs.core.decode.columns import parse_schema

_SPACES: Final = r"[ \t]*"
_TEXT: Final = (
    r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]'
    r"|\\u(?:[0-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}))*\""
)
# Up to eighteen digits stay inside 64 bits, two digits of exponent inside a double.
_NUMBER: Final = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?"
_SCALAR: Final = rf"(?:{_TEXT}|{_NUMBER}|true|false|null)"


def _listed(element: str) -> str:
    return rf"{_SPACES}(?:{element}{_SPACES}(?:,{_SPACES}{element}{_SPACES})*)?"


def _object_of(value: str) -> str:
    return r"\{" + _listed(rf"{_TEXT}{_SPACES}:{_SPACES}{value}") + r"\}"


_VALUE: Final = rf"(?:{_SCALAR}|\[{_listed(_SCALAR)}\]|{_object_of(_SCALAR)})"
WELL_FORMED: Final = rf"^{_object_of(_VALUE)}[ \t\r]*$"
"""A regular expression without look-around: linear time whatever the input."""


_INTEGERS: Final = "|".join(name for name, dtype in parse_schema().items() if dtype.is_integer())
FRACTION: Final = rf'"(?:{_INTEGERS})"{_SPACES}:{_SPACES}-?[0-9]+[.eE]'
"""An integer field that holds 5.0 or 1e3: the parser refuses it, and so does the model."""


def certainly_parsed(lines: Sequence[bytes]) -> pl.Series:
    """Tell which lines the parser certainly takes.

    Lines of invalid UTF-8 are not among them; values that begin like another type are sorted out
    by the byte scan before.
    """
    texts = _texts(lines)
    return (texts.str.contains(WELL_FORMED) & ~texts.str.contains(FRACTION)).fill_null(False)


def _texts(lines: Sequence[bytes]) -> pl.Series:
    raw = pl.Series("line", lines, dtype=pl.Binary)
    try:
        return raw.cast(pl.String)
    except pl.exceptions.ComputeError:
        # Casting refuses the whole column for one bad byte.
        return pl.Series("line", [_text_or_none(line) for line in lines], dtype=pl.String)


def _text_or_none(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None
