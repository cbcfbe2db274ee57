"""Where the parts of a statement are: its first word, its FORMAT, and where INSERT data begins.

ClickHouse's HTTP interface takes SQL and insert data in one byte string, so the endpoint has to
find the seam the way the server's parser does: quoted text and comments never count. It reads
only as far as that seam, because what follows is data in any format and need not even be text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

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

    kind: str
    text: bytes
    start: int
    end: int
    depth: int

    @property
    def keyword(self) -> bytes:
        """The word in capitals; empty for everything that is not a bare word."""
        return self.text.upper() if self.kind == "word" else b""


@dataclass(slots=True)
class Statement:
    """What the endpoint needs to know about one statement.

    Attributes:
        sql: The statement; of an INSERT with data, without FORMAT or VALUES and what follows.
        keyword: First word in capitals (``SELECT``, ``INSERT``, ``WITH`` ...).
        output_format: Name in the FORMAT clause of a query, or None.
        insert_format: Input format when insert data follows, else None.
        inline_data: Insert data that came in the same text.
        words: Every bare word in capitals.
        pairs: Every two bare words in a row, in capitals.
        calls: Every name before an opening bracket, in capitals, quotes removed.
        strings: Ranges of string literals.
        input_call: Range of ``input(`` in an INSERT ... SELECT ... FROM input(...), or None.
        settings: Range of a SETTINGS clause at the end, and its names and values as SQL.
        statements: How many statements the text holds; 0 for comments only.
    """

    sql: bytes
    keyword: bytes = b""
    output_format: str | None = None
    insert_format: str | None = None
    inline_data: bytes = b""
    words: set[bytes] = field(default_factory=set)
    pairs: set[tuple[bytes, bytes]] = field(default_factory=set)
    calls: set[bytes] = field(default_factory=set)
    strings: list[tuple[int, int]] = field(default_factory=list)
    input_call: tuple[int, int] | None = None
    settings: tuple[int, int, dict[str, str]] | None = None
    statements: int = 1

    @property
    def takes_data(self) -> bool:
        """True for an INSERT whose rows come as data rather than from a SELECT."""
        return self.insert_format is not None

    def note(self, token: Token, previous: Token | None) -> None:
        """Record one token and the one before it."""
        if token.kind == "string":
            self.strings.append((token.start, token.end))
        if token.keyword:
            self.words.add(token.keyword)
            if previous is not None and previous.keyword:
                self.pairs.add((previous.keyword, token.keyword))
        elif token.text == b"(" and previous is not None and previous.kind in ("word", "quoted"):
            self.calls.add(previous.text.strip(b'`"').upper())


def tokens(sql: bytes, start: int = 0) -> Iterator[Token]:
    """Yield the tokens of ``sql`` without white space and comments."""
    depth = 0
    for match in _TOKEN.finditer(sql, start):
        kind = match.lastgroup or "other"
        if kind == "space":
            continue
        text = match.group()
        if text in (b")", b"]", b"}"):
            depth -= 1
        yield Token("string" if kind == "tag" else kind, text, match.start(), match.end(), depth)
        if text in (b"(", b"[", b"{"):
            depth += 1


def parse(sql: bytes) -> Statement:
    """Describe the statement in ``sql``; never raises, the engine reports what is wrong with it."""
    first = next(tokens(sql), None)
    if first is None:
        return Statement(sql=sql, statements=0)
    if first.keyword == b"INSERT":
        return _parse_insert(sql)
    return _parse_query(sql)


def _parse_query(sql: bytes) -> Statement:
    statement = Statement(sql=sql, statements=0)
    found = list(tokens(sql))
    is_open = False
    previous: Token | None = None
    for at, token in enumerate(found):
        if token.text == b";" and token.depth == 0:
            is_open, previous = False, None
            continue
        if not is_open:
            statement.statements, is_open = statement.statements + 1, True
        if not statement.keyword and token.text != b"(":
            statement.keyword = token.keyword or b"?"
        statement.note(token, previous)
        if token.keyword == b"FORMAT" and token.depth == 0 and _ends_clause(found, at):
            statement.output_format = found[at + 1].text.decode(errors="replace")
        previous = token
    if statement.statements == 1:
        statement.settings = _settings_clause(sql, found)
    return statement


def _settings_clause(sql: bytes, found: list[Token]) -> tuple[int, int, dict[str, str]] | None:
    """Find the SETTINGS clause that ends the statement, before or after its FORMAT clause."""
    starts = [at for at, t in enumerate(found) if t.keyword == b"SETTINGS" and t.depth == 0]
    if not starts:
        return None
    at = starts[-1] + 1
    ends = [
        n
        for n in range(at, len(found))
        if found[n].text == b";"
        or (found[n].keyword == b"FORMAT" and found[n].depth == 0 and _ends_clause(found, n))
    ]
    end = ends[0] if ends else len(found)
    values: dict[str, str] = {}
    stop = at - 1
    while stop < end:
        at = stop + 1
        if at + 2 >= end or found[at].kind != "word" or found[at + 1].text != b"=":
            return None
        stop = next((n for n in range(at + 2, end) if _is_comma(found[n])), end)
        value = sql[found[at + 2].start : found[stop - 1].end]
        values[found[at].text.decode()] = value.decode(errors="replace")
    return found[starts[-1]].start, found[end - 1].end, values


def _is_comma(token: Token) -> bool:
    return token.text == b"," and token.depth == 0


def _ends_clause(found: list[Token], at: int) -> bool:
    """Tell whether ``FORMAT name`` is a clause: only SETTINGS, INTO or the end follows."""
    if at + 1 >= len(found) or found[at + 1].kind != "word":
        return False
    after = found[at + 2] if at + 2 < len(found) else None
    return after is None or after.text == b";" or after.keyword in (b"SETTINGS", b"INTO")


def _parse_insert(sql: bytes) -> Statement:
    statement = Statement(sql=sql, keyword=b"INSERT")
    selects = False
    previous: Token | None = None
    for token in tokens(sql):
        if token.text == b";" and token.depth == 0:
            if next(tokens(sql, token.end), None) is not None:
                statement.statements += 1
            break
        if token.depth == 0 and token.kind == "word" and previous is not None:
            if previous.keyword == b"FORMAT":
                return _with_data(statement, previous.start, token, selects)
            if token.keyword == b"VALUES" and not selects and not _is_name(previous):
                return _with_data(statement, token.start, token, selects)
        if token.keyword in (b"SELECT", b"WITH") and not _is_name(previous):
            selects = True
        if token.text == b"(" and previous is not None and previous.keyword == b"INPUT":
            statement.input_call = (previous.start, token.end)
        statement.note(token, previous)
        previous = token
    if not selects and b"INFILE" not in statement.words:
        statement.insert_format = "Values"
    return statement


def _is_name(previous: Token | None) -> bool:
    """Return True where SELECT or WITH would be a table's name (``INSERT INTO select ...``)."""
    return previous is None or previous.keyword in (b"INTO", b"TABLE", b"INSERT")


def _with_data(statement: Statement, clause: int, name: Token, selects: bool) -> Statement:
    if selects and statement.input_call is None:
        return statement  # the FORMAT of an INSERT ... SELECT says nothing about data
    insert_format = name.text.decode(errors="replace")
    statement.insert_format = "Values" if insert_format.upper() == "VALUES" else insert_format
    # The server skips blanks up to and including one line feed between the format and the data.
    statement.inline_data = re.sub(rb"\A[ \t\r\f\v]*\n?", b"", statement.sql[name.end :], count=1)
    if statement.insert_format == "Values":
        statement.inline_data = statement.inline_data.rstrip().removesuffix(b";")
    statement.sql = statement.sql[:clause].rstrip() + b"\n"
    return statement
