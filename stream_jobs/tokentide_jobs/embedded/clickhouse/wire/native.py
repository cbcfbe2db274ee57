"""Native blocks as newer clients want them: block info and serialisation markers put in.

chDB writes Native for protocol revision 0. A client that names a later revision expects block
info in front of every block (from 51903), the time zones of columns (from 54337) and, from 54454,
one byte after each column's type that says the column has no custom serialisation. Putting those in
means knowing where every column ends, so this module walks the serialised data; it never decodes a
value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..exceptions import ClickHouseError
from ..literals import split_arguments

REVISION_BLOCK_INFO: Final = 51903
REVISION_TIME_ZONES: Final = 54337
REVISION_CUSTOM_SERIALIZATION: Final = 54454

BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""Field 1: no overflow row; field 2: bucket -1; end."""

_FIXED: Final = {
    "Int8": 1,
    "UInt8": 1,
    "Bool": 1,
    "Enum8": 1,
    "Nothing": 1,
    "Int16": 2,
    "UInt16": 2,
    "Enum16": 2,
    "Date": 2,
    "BFloat16": 2,
    "Time": 4,
    "Int32": 4,
    "UInt32": 4,
    "Float32": 4,
    "Date32": 4,
    "DateTime": 4,
    "IPv4": 4,
    "Decimal32": 4,
    "Int64": 8,
    "UInt64": 8,
    "Float64": 8,
    "DateTime64": 8,
    "Time64": 8,
    "Decimal64": 8,
    "Int128": 16,
    "UInt128": 16,
    "UUID": 16,
    "IPv6": 16,
    "Decimal128": 16,
    "Int256": 32,
    "UInt256": 32,
    "Decimal256": 32,
}
_ALIASES: Final = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Tuple(Float64, Float64))",
    "LineString": "Array(Tuple(Float64, Float64))",
    "MultiLineString": "Array(Array(Tuple(Float64, Float64)))",
    "Polygon": "Array(Array(Tuple(Float64, Float64)))",
    "MultiPolygon": "Array(Array(Array(Tuple(Float64, Float64))))",
}
_TYPE = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*\Z", re.DOTALL)
_INTERVAL_BYTES: Final = 8
_LARGEST_INDEX: Final = 3
"""Code of UInt64 in the flags of a LowCardinality column."""

Skip = Callable[[memoryview, int, int], int]
"""(data, position, rows) -> position after the part."""


_NO_ZONES: Final[Mapping[int, str]] = {}
_DATE_TIME: Final = b"\x08DateTime"


def may_hide_time_zones(data: bytes | memoryview, revision: int) -> bool:
    """Tell whether a column may have a time zone that its type in ``data`` does not tell."""
    return revision >= REVISION_TIME_ZONES and _DATE_TIME in bytes(data)


def upgrade(
    data: bytes | memoryview,
    revision: int,
    rows: int | None = None,
    zones: Mapping[int, str] = _NO_ZONES,
) -> bytes:
    """Rewrite the Native blocks in ``data`` (revision 0) as a client of ``revision`` reads them.

    Args:
        data: Whole blocks, any number of them.
        revision: The client's protocol revision.
        rows: Rows in ``data`` if known; spares the walk when it shows that there is one block.
        zones: Types of the columns that have a time zone, by their place in the block.

    Raises:
        ClickHouseError: 48 for a column type whose layout is not known here.
    """
    view = memoryview(data)
    if not view.nbytes or revision < REVISION_BLOCK_INFO:
        return bytes(view)
    marked = revision >= REVISION_CUSTOM_SERIALIZATION
    out: list[bytes | memoryview] = []
    at = 0
    while at < len(view):
        columns, here = _varint(view, at)
        count, here = _varint(view, here)
        out.append(BLOCK_INFO)
        if not marked and not zones and at == 0 and rows is not None and rows == count:
            out.append(view)
            break
        for number in range(columns):
            _, type_at = _text(view, here)
            type_name, here = _text(view, type_at)
            if number in zones:
                zoned = zones[number].encode()
                out += (view[at:type_at], _length(len(zoned)), zoned)
                at = here
            if marked:
                out.append(view[at:here])
                out.append(b"\0")
                at = here
            if count:
                here = _column(type_name)(view, here, count)
        out.append(view[at:here])
        at = here
    return b"".join(out)


def column_types(data: bytes) -> Iterator[str]:
    """Yield the type of every column of every block in ``data``, before its values are skipped.

    Raises:
        ClickHouseError: 48 for a column type whose layout is not known here.
        IndexError: The data ends inside a block.
        ValueError: A dictionary that the engine would not write.
    """
    view = memoryview(data)
    at = 0
    while at < len(view):
        columns, at = _varint(view, at)
        rows, at = _varint(view, at)
        for _ in range(columns):
            _, at = _text(view, at)
            type_name, at = _text(view, at)
            yield type_name
            _column(type_name)  # a block without rows names types too
            if rows:
                at = _column(type_name)(view, at, rows)
    if at != len(view):
        raise IndexError("the data ends inside a block")


def strings_of_column(data: bytes, number: int) -> list[str]:
    """Return the values of a column of one Native block whose columns up to it are strings."""
    view = memoryview(data)
    found: list[str] = []
    if not view.nbytes:
        return found
    _, at = _varint(view, 0)
    rows, at = _varint(view, at)
    for _ in range(number + 1):
        found = []
        for _ in range(2):  # its name and type
            _, at = _text(view, at)
        for _ in range(rows):
            value, at = _text(view, at)
            found.append(value)
    return found


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _text(view: memoryview, at: int) -> tuple[str, int]:
    size, at = _varint(view, at)
    return bytes(view[at : at + size]).decode(errors="surrogateescape"), at + size


_columns: dict[str, Skip] = {}


def _column(type_name: str) -> Skip:
    """Skips one column: the state prefixes of its parts first, then its data."""
    skip = _columns.get(type_name)
    if skip is None:
        prefix, body = _parts(type_name)

        def skip(view: memoryview, at: int, rows: int) -> int:
            return body(view, prefix(view, at, rows), rows)

        if len(_columns) > 1000:
            _columns.clear()
        _columns[type_name] = skip
    return skip


def _nothing(view: memoryview, at: int, rows: int) -> int:
    return at


def _parts(type_name: str) -> tuple[Skip, Skip]:
    """(prefix, body): ClickHouse writes all state prefixes of a column before its data."""
    match = _TYPE.match(_ALIASES.get(type_name, type_name))
    if match is None:
        raise _unknown(type_name)
    name, inner = match[1], match[2] or ""
    if name == "Decimal":
        precision = int(inner.split(",")[0])
        return _nothing, _fixed(
            4 if precision <= 9 else 8 if precision <= 18 else 16 if precision <= 38 else 32
        )
    if name in _FIXED:
        return _nothing, _fixed(_FIXED[name])
    if name.startswith("Interval"):
        return _nothing, _fixed(_INTERVAL_BYTES)
    if name == "String":
        return _nothing, _strings
    if name == "FixedString":
        return _nothing, _fixed(int(inner))
    if name == "LowCardinality":
        return _low_cardinality(inner)
    if name == "SimpleAggregateFunction":
        return _parts(split_arguments(inner)[1])
    if name == "Nullable":
        prefix, body = _parts(inner)
        return prefix, lambda view, at, rows: body(view, at + rows, rows)
    if name == "Array":
        return _array(inner)
    if name == "Map":
        return _array(f"Tuple({inner})")
    if name == "Nested":
        return _array(f"Tuple({inner})")
    if name == "Tuple":
        return _tuple(split_arguments(inner))
    raise _unknown(type_name)


def _unknown(type_name: str) -> ClickHouseError:
    return ClickHouseError(
        48,
        f"The embedded ClickHouse cannot send a column of type {type_name} in the Native format of "
        "this protocol revision: select toString(column), or use another FORMAT",
    )


def _fixed(size: int) -> Skip:
    return lambda view, at, rows: at + size * rows


def _strings(view: memoryview, at: int, rows: int) -> int:
    for _ in range(rows):
        size = view[at]
        if size < 0x80:
            at += 1 + size
        else:
            size, at = _varint(view, at)
            at += size
    return at


def _array(element: str) -> tuple[Skip, Skip]:
    prefix, body = _parts(element)

    def skip(view: memoryview, at: int, rows: int) -> int:
        if not rows:
            return at
        end = at + 8 * rows
        return body(view, end, int.from_bytes(view[end - 8 : end], "little"))

    return prefix, skip


def _tuple(elements: list[str]) -> tuple[Skip, Skip]:
    if not elements:
        return _nothing, _fixed(1)
    parts = [_parts(_element_type(element)) for element in elements]

    def prefix(view: memoryview, at: int, rows: int) -> int:
        for part, _ in parts:
            at = part(view, at, rows)
        return at

    def body(view: memoryview, at: int, rows: int) -> int:
        for _, part in parts:
            at = part(view, at, rows)
        return at

    return prefix, body


def _low_cardinality(inner: str) -> tuple[Skip, Skip]:
    """Prefix: version. Body: index type and flags, keys, indexes; nothing at all for no rows."""
    dictionary = (
        inner.removeprefix("Nullable(").removesuffix(")")
        if inner.startswith("Nullable(")
        else inner
    )
    _, keys = _parts(dictionary)

    def body(view: memoryview, at: int, rows: int) -> int:
        if not rows:
            return at
        flags = int.from_bytes(view[at : at + 8], "little")
        at += 8
        if flags & 0x200:  # additional keys travel with the block
            count = int.from_bytes(view[at : at + 8], "little")
            at = keys(view, at + 8, count)
        count = int.from_bytes(view[at : at + 8], "little")
        if count != rows or flags & 0xFF > _LARGEST_INDEX:
            # The engine would read on: what follows would be taken for something else.
            raise ValueError("the indexes of a LowCardinality column are not as many as its rows")
        return at + 8 + (count << (flags & 0xFF))

    return (lambda view, at, rows: at + 8), body


def _element_type(element: str) -> str:
    """Return the type of a tuple element, which may have a name in front (``a UInt8``)."""
    if element.startswith(("`", '"')):
        quote = element[0]
        end = element.index(quote, 1)
        while element[end - 1] == "\\":
            end = element.index(quote, end + 1)
        return element[end + 1 :].strip()
    name, blank, rest = element.partition(" ")
    return rest.strip() if blank and "(" not in name else element
