"""Where the parts of a statement are: its first word, its FORMAT, and where INSERT data begins.

ClickHouse's HTTP interface takes SQL and insert data in one byte string, so the endpoint has to find
the seam the way the server's parser does: quoted text and comments never count. It reads only as far
as that seam, because what follows is data in any format and need not be SQL or even text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

TokenKind = Literal["space", "string", "quoted", "word", "other"]

_TOKEN = re.compile(
    rb"""(?P<space>(?:\s+|--[^\n]*|\#[\ !][^\n]*|/\*.*?(?:\*/|\Z))+)
    |(?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    |(?P<word>[A-Za-z_\x80-\xff][\w\x80-\xff]*|\d[\w.]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token: its kind, its bytes, the half-open range it covers and its bracket depth."""

    kind: TokenKind
    text: bytes
    start: int
    end: int
    depth: int

    @property
    def keyword(self) -> bytes:
        """The word in capitals; empty for everything that is not a bare word."""
        return self.text.upper() if self.kind == "word" else b""


@dataclass(frozen=True, slots=True)
class Statement:
    """What the endpoint needs to know about one statement.

    Attributes:
        sql: The statement without insert data, without its insert FORMAT clause.
        keyword: First word in capitals (``SELECT``, ``INSERT``, ``WITH`` ...).
        output_format: Name in the FORMAT clause of a query, or None.
        insert_format: Input format when insert data follows, else None.
        inline_data: Insert data that came in the same text.
        words: Every bare word of the statement in capitals.
        input_call: Range of ``input(`` in an INSERT ... SELECT ... FROM input(...), if any.
        statements: How many statements the text holds.
    """

    sql: bytes
    keyword: bytes
    output_format: str | None = None
    insert_format: str | None = None
    inline_data: bytes = b""
    words: frozenset[bytes] = frozenset()
    input_call: tuple[int, int] | None = None
    statements: int = 1

    @property
    def takes_data(self) -> bool:
        """True for an INSERT whose rows come as data rather than from a SELECT."""
        return self.insert_format is not None


def tokens(sql: bytes) -> Iterator[Token]:
    """Yield the tokens of ``sql`` without white space and comments."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        if kind == "space":
            continue
        text = match.group()
        if text in (b")", b"]", b"}"):
            depth -= 1
        yield Token(kind, text, match.start(), match.end(), depth)  # type: ignore[arg-type]
        if text in (b"(", b"[", b"{"):
            depth += 1


def parse(sql: bytes) -> Statement:
    """Describe the statement in ``sql``; never raises, the engine reports what is wrong with it."""
    first = next(tokens(sql), None)
    if first is None:
        return Statement(sql=sql, keyword=b"", statements=0)
    if first.keyword == b"INSERT":
        return _parse_insert(sql)
    return _parse_query(sql, list(tokens(sql)))


def _parse_query(sql: bytes, found: list[Token]) -> Statement:
    output_format = None
    count, open_statement = 0, False
    words: set[bytes] = set()
    for at, token in enumerate(found):
        if token.text == b";" and token.depth == 0:
            open_statement = False
            continue
        if not open_statement:
            count, open_statement = count + 1, True
        words.add(token.keyword)
        if token.keyword == b"FORMAT" and token.depth == 0 and _ends_clause(found, at):
            output_format = found[at + 1].text.decode(errors="replace")
    words.discard(b"")
    keyword = next((t.keyword for t in found if t.text != b"("), b"")
    return Statement(
        sql=sql,
        keyword=keyword,
        output_format=output_format,
        words=frozenset(words),
        statements=count,
    )


def _ends_clause(found: list[Token], at: int) -> bool:
    """True when ``FORMAT name`` at ``at`` is a clause: nothing but SETTINGS or the end follows."""
    if at + 1 >= len(found) or found[at + 1].kind != "word":
        return False
    after = found[at + 2] if at + 2 < len(found) else None
    return after is None or after.text == b";" or after.keyword in (b"SETTINGS", b"INTO")


def _parse_insert(sql: bytes) -> Statement:
    words: set[bytes] = set()
    selects = False
    call: tuple[int, int] | None = None
    previous: Token | None = None
    count = 1
    for token in tokens(sql):
        if token.text == b";" and token.depth == 0:
            end_of_query = next(tokens(sql[token.end :]), None) is None
            if end_of_query or selects:
                count += 0 if end_of_query else 1
                break
        if previous is not None and previous.keyword == b"FORMAT" and previous.depth == 0:
            if token.kind == "word":
                return _with_data(sql, previous.start, token, words, selects, call)
        elif token.keyword == b"VALUES" and token.depth == 0 and not selects:
            return _with_data(sql, token.start, token, words, selects, call)
        elif token.keyword in (b"SELECT", b"WITH") and _follows_target(previous):
            selects = True
        elif token.text == b"(" and previous is not None and previous.keyword == b"INPUT":
            call = (previous.start, token.end)
        words.add(token.keyword)
        previous = token
    words.discard(b"")
    return Statement(
        sql=sql,
        keyword=b"INSERT",
        insert_format=None if selects else "Values",
        words=frozenset(words),
        statements=count,
    )


def _follows_target(previous: Token | None) -> bool:
    """True unless the word before makes SELECT or WITH a name (``INSERT INTO select ...``)."""
    return previous is not None and previous.keyword not in (b"INTO", b"TABLE", b"INSERT")


def _with_data(
    sql: bytes,
    clause_start: int,
    name: Token,
    words: set[bytes],
    selects: bool,
    call: tuple[int, int] | None,
) -> Statement:
    data = sql[name.end :]
    insert_format = name.text.decode(errors="replace")
    if insert_format.upper() == "VALUES":
        insert_format = "Values"
    # The server skips blanks up to and including one line feed between the format and the data.
    data = re.sub(rb"\A[ \t\r\f\v]*\n?", b"", data, count=1)
    if selects and call is None:
        # INSERT ... SELECT ... FORMAT x without input(): the format says nothing about data.
        return Statement(
            sql=sql, keyword=b"INSERT", words=frozenset(words - {b""}), insert_format=None
        )
    return Statement(
        sql=sql[:clause_start].rstrip() + b"\n",
        keyword=b"INSERT",
        insert_format=insert_format,
        inline_data=data.removesuffix(b";") if insert_format == "Values" else data,
        words=frozenset(words - {b""}),
        input_call=call,
    )
