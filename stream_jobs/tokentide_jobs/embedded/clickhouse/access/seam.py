"""Where the data of an INSERT begins in the bytes of a request.

ClickHouse's HTTP interface takes SQL and insert data in one byte string, and the engine's parser
does not say where the one ends. This module only proposes the seam; the engine must then read the
part before it as an INSERT with the same format, or the request is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""(?P<space>(?:\s+|--[^\n]*|\#[\ !][^\n]*|/\*.*?(?:\*/|\Z))+)
    |(?P<quoted>'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)
        |`(?:[^`\\]|\\.|``)*(?:`|\\?\Z)
        |"(?:[^"\\]|\\.|"")*(?:"|\\?\Z))
    |(?P<word>[A-Za-z_\x80-\xff][\w\x80-\xff]*|\d[\w.]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Seam:
    """An INSERT and its data.

    Attributes:
        head: The statement up to its data, with its FORMAT clause.
        insert_format: Name of the input format.
        data: What follows in the same bytes.
    """

    head: bytes
    insert_format: str
    data: bytes


def find_seam(sql: bytes, size_bytes: int) -> Seam | None:
    """Propose where data begins; None when ``sql`` is no INSERT or carries no data.

    Args:
        sql: Statement, and perhaps data.
        size_bytes: How far to look: the longest statement there may be.
    """
    depth, begun, before, before_start = 0, b"", b"", 0
    for match in _TOKEN.finditer(sql, 0, size_bytes):
        if match.end() == size_bytes < len(sql):
            return None  # the rest of this token is out of sight
        if match.lastgroup == "space":
            continue
        text = match.group()
        word = text.upper() if match.lastgroup == "word" else b""
        if not begun and word not in (b"INSERT", b"WITH"):
            return None
        if begun == b"WITH" and (before, word) == (b"INSERT", b"INTO"):
            begun = b"INSERT"  # values with names may stand in front of it
        begun = begun or word
        if depth == 0 and word and begun == b"WITH":
            if word == b"SELECT":
                return None
        elif depth == 0 and word:
            if before == b"FORMAT":
                return _with_format(sql, before_start, match.end(), text)
            if word == b"VALUES" and before not in (b"INTO", b"TABLE"):
                return _with_format(sql, match.start(), match.end(), b"Values")
            if word in (b"SELECT", b"WITH") and before not in (b"INTO", b"TABLE"):
                return None
        if text == b";" and depth == 0:
            return None
        depth += (text in (b"(", b"[", b"{")) - (text in (b")", b"]", b"}"))
        before, before_start = word, match.start()
    return None if begun != b"INSERT" else Seam(sql + b"\nFORMAT Values", "Values", b"")


def _with_format(sql: bytes, clause: int, end: int, name: bytes) -> Seam:
    insert_format = name.decode(errors="replace")
    if insert_format.upper() == "VALUES":
        insert_format = "Values"
    # The server skips blanks up to and including one line feed between the format and the data.
    data = re.sub(rb"\A[ \t\r\f\v]*\n?", b"", sql[end:], count=1)
    if insert_format == "Values":
        data = data.rstrip().removesuffix(b";")
    return Seam(sql[:clause] + b"\nFORMAT " + name, insert_format, data)
