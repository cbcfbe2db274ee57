"""Native data names no type that could hold a state, in any block of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.each import each
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError
from tokentide_jobs.embedded.clickhouse.wire.native_types import check_native

STATE = b"AggregateFunction(sum, UInt8)"
ZEROS = bytes(8)


def text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def block(rows: int, *columns: tuple[bytes, bytes]) -> bytes:
    """Write a block; each column is its type and its values."""
    parts = [text(b"c") + text(type_name) + values for type_name, values in columns]
    return bytes([len(columns), rows]) + b"".join(parts)


def dictionary(keys: list[bytes], indexes: bytes) -> bytes:
    """Write one part of a LowCardinality column: keys that travel along, indexes of a byte."""
    head = struct.pack("<QQ", 0x600, len(keys)) + b"".join(map(text, keys))
    return head + struct.pack("<Q", len(indexes)) + indexes


VERSION = struct.pack("<Q", 1)
PLAIN = block(1, (b"String", text(b"JSON")))
WHOLE = VERSION + dictionary([b"", b"JSON"], b"\1\1")
GOOD = {
    "nothing suspect": block(1, (b"Array(String)", VERSION + text(b"a"))),
    "texts like types": block(1, (b"String", text(STATE)), (b"String", text(b"Dynamic \\ JSON"))),
    "two blocks": PLAIN + PLAIN,
    "a dictionary": block(
        2, (b"LowCardinality(String)", VERSION + dictionary([b"", b"JSON"], b"\1\1"))
    ),
    "simple": block(1, (b"SimpleAggregateFunction(sum, UInt64)", ZEROS)),
    "nothing": b"",
}
SPLIT = VERSION + dictionary([b"", b"JSON"], b"\1") + dictionary([b"", b"b"], b"\1")
REFUSED = {
    "a state": (block(1, (STATE, ZEROS)), 48),
    "a state in an array": (block(1, (b"Array(" + STATE + b")", VERSION + ZEROS)), 48),
    "a state in a later block": (PLAIN + block(1, (STATE, ZEROS)), 48),
    "a state in a later column": (block(1, (b"String", b"\1a"), (STATE, ZEROS)), 48),
    "a state without rows": (block(0, (STATE, b"")), 48),
    "an escape": (block(1, (b"`\\x41ggregateFunction`(sum, UInt8)", ZEROS)), 48),
    "an escape in a tuple": (block(1, (b"Tuple(`a\\\\` UInt64)", ZEROS)), 48),
    "dynamic": (block(1, (b"Dynamic", ZEROS)), 48),
    "json": (block(1, (b"Json", ZEROS)), 48),
    "variant": (block(1, (b"Array(Variant(String, UInt8))", ZEROS)), 48),
    "a dictionary in two parts": (block(2, (b"LowCardinality(String)", SPLIT)), 33),
    "the end within a block": ((PLAIN + PLAIN)[:-1], 33),
    "more rows than there are": (block(9, (b"UInt64", text(b"JSON"))), 33),
}


def check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with path.open("rb") as opened:
        check_native(opened, "t")


@each("data", GOOD.values(), ids=GOOD)
def test_plain_types_pass_whatever_their_values_hold(tmp_path: Path, data: bytes) -> None:
    check(tmp_path / "data", data)


@each(("data", "code"), REFUSED.values(), ids=REFUSED)
def test_other_types_are_refused_wherever_they_stand(
    tmp_path: Path, data: bytes, code: int
) -> None:
    with pytest.raises(ClickHouseError) as refused:
        check(tmp_path / "data", data)
    assert refused.value.code == code
