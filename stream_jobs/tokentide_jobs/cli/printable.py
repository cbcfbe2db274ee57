"""Data as a terminal may show it: one function for all text that is not our own.

Names of models, tenants and topics, dead letters, error texts and cells of a query come from
outside. A character that a terminal would obey instead of showing (escape sequences, carriage
returns, marks that turn the direction of writing), or would not show at all (zero-width and other
format characters), is written as its escape: no data moves the cursor, changes a title, hides
behind other text or looks like what it is not. What an encoding lacks is escaped as well.
"""

from __future__ import annotations

import re
import sys
from typing import IO, Any

__all__ = ["escape_what_cannot_be_encoded", "printable", "shortened"]

_FORMAT = (
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f"
)
"""Unicode's category Cf: a test holds the list complete."""
_CONTROL_CHARACTERS = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_FORMAT}]")
_BEGINNING, _END = 3_000, 1_000
"""Characters of a line that are shown."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every character that is not seen as its escape, `\x1b`.

    Args:
        text: Anything.
        keep: Characters to leave alone, such as the line ends of an indented document.
    """
    return _CONTROL_CHARACTERS.sub(
        lambda match: match[0] if match[0] in keep else _escape(match[0]), text
    )


def shortened(line: str) -> str:
    """Leave out the middle of a long line: its end, which states what to do, is kept."""
    left_out = len(line) - _BEGINNING - _END
    if left_out <= 0:
        return line
    return f"{line[:_BEGINNING]} … {left_out:,} characters … {line[-_END:]}"


def escape_what_cannot_be_encoded(*streams: IO[Any] | None) -> None:
    r"""Let text streams write `\u20ac` where their encoding has no €, instead of failing."""
    for stream in streams or (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return _SHORT.get(character) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
