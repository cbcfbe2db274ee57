"""Output formats: content type, and whether a result may be sent in the pieces it comes in.

The engine formats every piece of a streamed result as a document of its own. For row formats
pieces concatenate (after dropping repeated headers); for JSON, Parquet, Pretty and the like they
do not, and the result is formatted whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

DEFAULT_FORMAT: Final = "TabSeparated"
PLAIN_TEXT: Final = "text/plain; charset=UTF-8"

_PLAIN: Final = frozenset(
    {
        "Native",
        "TabSeparated",
        "TSV",
        "TabSeparatedRaw",
        "TSVRaw",
        "Raw",
        "CSV",
        "JSONEachRow",
        "JSONLines",
        "NDJSON",
        "JSONCompactEachRow",
        "JSONStringsEachRow",
        "JSONCompactStringsEachRow",
        "RowBinary",
        "LineAsString",
        "RawBLOB",
        "MsgPack",
        "TSKV",
        "Null",
    }
)
_HEADER_LINES: Final = {"WithNamesAndTypes": 2, "WithNames": 1}
_LINE_FAMILIES: Final = frozenset(
    {
        "TabSeparated",
        "TSV",
        "TabSeparatedRaw",
        "TSVRaw",
        "Raw",
        "CSV",
        "JSONCompactEachRow",
        "JSONCompactStringsEachRow",
    }
)


def content_type(name: str) -> str:
    """Return the Content-Type the server sends for a format."""
    if name in ("JSONEachRow", "JSONLines", "NDJSON") or "EachRow" in name:
        return "application/x-ndjson; charset=UTF-8"
    if name.startswith("JSON"):
        return "application/json; charset=UTF-8"
    if name.startswith("CSV"):
        header = "present" if "WithNames" in name else "absent"
        return f"text/csv; charset=UTF-8; header={header}"
    if name.startswith(("TabSeparated", "TSV")):
        return "text/tab-separated-values; charset=UTF-8"
    if name.startswith(("Pretty", "Vertical", "Markdown", "Values", "TSKV")):
        return PLAIN_TEXT
    if name == "XML":
        return "application/xml; charset=UTF-8"
    return "application/octet-stream"


ARROW_STREAM_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What ends an Arrow stream: a message of no length."""


def joiner(name: str) -> Callable[[memoryview], memoryview] | None:
    """Choose what turns each piece in turn into its share of one document.

    None when pieces of this format cannot be joined.
    """
    if name in _PLAIN:
        return lambda piece: piece
    for suffix, lines in _HEADER_LINES.items():
        if name.endswith(suffix):
            family = name.removesuffix(suffix)
            if family in _LINE_FAMILIES:
                return _DropLines(lines, quoted=family == "CSV")
            if family == "RowBinary":
                return _DropBinaryHeader(lines)
            return None
    if name == "ArrowStream":
        return _JoinArrow()
    return None


class _DropLines:
    """Drops the first lines of every piece but the first."""

    def __init__(self, lines: int, *, quoted: bool) -> None:
        self._lines = lines
        self._quoted = quoted
        self._header: int | None = None

    def __call__(self, piece: memoryview) -> memoryview:
        if self._header is None:
            self._header = self._measure(piece)
            return piece
        # The header is the same in every piece, so it is measured once.
        return piece[self._header :]

    def _measure(self, piece: memoryview) -> int:
        left, inside = self._lines, False
        for at, byte in enumerate(piece):
            if byte == 0x22 and self._quoted:
                inside = not inside
            elif byte == 0x0A and not inside:
                left -= 1
                if not left:
                    return at + 1
        return len(piece)


class _DropBinaryHeader:
    """Drops names (and types) of every RowBinaryWithNames piece but the first."""

    def __init__(self, lists: int) -> None:
        self._lists = lists
        self._header: int | None = None

    def __call__(self, piece: memoryview) -> memoryview:
        if self._header is not None:
            return piece[self._header :]
        columns, at = _varint(piece, 0)
        for _ in range(self._lists * columns):
            size, at = _varint(piece, at)
            at += size
        self._header = at
        return piece


class _JoinArrow:
    """Joins Arrow streams of one schema: the schema message and the end marker appear once.

    The end marker is cut from every piece; the caller adds it at the end.
    """

    def __init__(self) -> None:
        self._started = False

    def __call__(self, piece: memoryview) -> memoryview:
        if bytes(piece[-8:]) == ARROW_STREAM_END:
            piece = piece[:-8]
        if not self._started:
            self._started = True
            return piece
        # Continuation marker, metadata size, metadata; a schema message has no body.
        return piece[8 + int.from_bytes(piece[4:8], "little") :]


def _varint(piece: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = piece[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
