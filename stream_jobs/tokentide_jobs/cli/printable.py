"""Data as a terminal may show it: one function for everything that somebody else wrote.

Names of models, tenants and topics, dead letters, error texts and cells of a query come from
outside. A character that a terminal would obey instead of showing (escape sequences, carriage
returns, marks that turn the direction of writing) is written as its escape, so that no data moves
the cursor, changes a title or hides behind other text. What an encoding lacks is escaped as well.
"""

from __future__ import annotations

import re
import sys
from typing import IO, Any

__all__ = ["escape_what_cannot_be_encoded", "printable"]

_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every character that a terminal would obey as its escape, `\x1b`.

    Args:
        text: Anything.
        keep: Characters to leave alone, such as the line ends of an indented document.
    """
    return _OBEYED.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def escape_what_cannot_be_encoded(*streams: IO[Any] | None) -> None:
    r"""Let text streams write `\u20ac` where their encoding has no €, instead of failing."""
    for stream in streams or (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _escape(character: str) -> str:
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
