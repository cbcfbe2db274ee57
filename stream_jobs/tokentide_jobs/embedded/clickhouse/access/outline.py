"""The parts of a canonical text: the calls in it, and the clauses at its end.

The engine's canonical text is one line, without comments, with one way to quote strings ('..') and
names (`..`), so a few patterns read it. Nothing here decides what an unchecked text is; a text that
does not look canonical is refused, whatever in it could be read in another way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ..exceptions import ClickHouseError

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL)
# Within a word a `$` begins nothing; elsewhere it may begin a text ($tag$..$tag$).
_WORD = re.compile(r"(?<![\w$.])[A-Za-z_][\w$]*", re.ASCII)
# The engine copies the type of a query parameter as it was written, with whatever is hidden there:
# comments, quotes of other kinds, texts of bytes (x'..'), whose quotes would be taken for others.
_HIDDEN = re.compile(r"""[^\w\s(){}\[\],.;:=<>+\-*/%|&!?^~@$]|--|//|/\*""", re.ASCII)
_BLANKED = re.compile(r"'\0*'|`\0*`")
_BESIDE_WORD = re.compile(r"[\w$]['`]", re.ASCII)
_CALL = re.compile(r"(\w+|`\0*`)\(|\bAPPLY\(? ?(\w+|`\0*`)")
_FORMAT = re.compile(r" FORMAT (\w+)\Z")
_LITERAL: Final = r"(?:[-\w.+]+|'\0*'|\[.*\]|\{.*\}|\(.*\))"
_ASSIGNMENT = re.compile(rf"(\w+) = ({_LITERAL})\Z", re.DOTALL)
_CLAUSE: Final = " SETTINGS "


def outline(text: str) -> str:
    """Return ``text`` of the same length with everything inside quotes blanked out.

    Raises:
        ClickHouseError: 62 for a comment or a quote that canonical text does not have.
    """
    blanked = _QUOTED.sub(lambda m: f"{m[0][0]}{chr(0) * (len(m[0]) - 2)}{m[0][0]}", text)
    bare = _BLANKED.sub(_spaces, blanked)
    bare = _WORD.sub(_spaces, bare)
    if _HIDDEN.search(bare) or _BESIDE_WORD.search(blanked) or _begins_text(text, bare):
        raise ClickHouseError(
            62, "Syntax error: a quote or comment that the canonical text cannot have"
        )
    return blanked


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _begins_text(text: str, bare: str) -> bool:
    """Tell whether a `$` outside quotes and words has a tag, `$..$`, that comes again after it.

    That is what the engine looks for, wherever it is: in quotes, in words, or in what follows.
    """
    if "$" not in bare:
        return False
    parts = text.split("$")
    last = {part: at for at, part in enumerate(parts[:-1])}  # of those that end in a `$`
    begin = -1
    for at, part in enumerate(parts[1:]):
        begin = text.index("$", begin + 1)
        if bare[begin] == "$" and last.get(part, 0) >= at + 3:
            return True
    return False


def calls(text: str, blanked: str) -> set[str]:
    """Return the names before an opening bracket, and those that APPLY names."""
    found: set[str] = set()
    for match in _CALL.finditer(blanked):
        group = 1 if match[1] else 2
        name = text[match.start(group) : match.end(group)]
        found.add(unescape(name) if name.startswith("`") else name)
    return found


def unescape(quoted: str) -> str:
    """Return the text of a quoted string or name of canonical text."""
    plain = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
    return re.sub(r"\\(.)", lambda m: plain.get(m[1], m[1]), quoted[1:-1], flags=re.DOTALL)


@dataclass(slots=True)
class Tail:
    """A canonical text without the clauses at its end.

    Attributes:
        body: What is left.
        output_format: Name in the FORMAT clause, or None.
        settings: Names and values of the SETTINGS clauses; values as SQL literals.
    """

    body: str
    output_format: str | None = None
    settings: dict[str, str] = field(default_factory=dict)


def split_tail(text: str, blanked: str, *, with_settings: bool) -> Tail:
    """Take the FORMAT clause, and the SETTINGS clauses around it, off the end of ``text``."""
    tail = Tail(text)
    while True:
        now = blanked[: len(tail.body)]
        found = _FORMAT.search(now)
        if found is not None and tail.output_format is None:
            tail.output_format = found[1]
            tail.body = tail.body[: found.start()]
            continue
        settings = _settings_at_end(tail.body, now) if with_settings else None
        if settings is None:
            return tail
        at, values = settings
        tail.settings = {**values, **tail.settings}
        tail.body = tail.body[:at]


def _settings_at_end(text: str, blanked: str) -> tuple[int, dict[str, str]] | None:
    at = blanked.rfind(_CLAUSE)
    if at < 0:
        return None
    values: dict[str, str] = {}
    start = at + len(_CLAUSE)
    for end in (*_commas(blanked, start), len(blanked)):
        found = _ASSIGNMENT.match(blanked[start:end])
        if found is None or not _is_balanced(found[2]):
            return None
        values[found[1]] = text[start + found.start(2) : start + found.end(2)]
        start = end + 2
    return at, values


def _commas(blanked: str, start: int) -> list[int]:
    depth, found = 0, []
    for at in range(start, len(blanked)):
        char = blanked[at]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            found.append(at)
    return found


def _is_balanced(value: str) -> bool:
    depth = 0
    for char in value:
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            return False
    return depth == 0
