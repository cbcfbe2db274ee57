"""The pieces that read and rewrite bytes, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentide_jobs.embedded.clickhouse.access.sql_text import parse
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError, from_engine
from tokentide_jobs.embedded.clickhouse.literals import quote, unquote
from tokentide_jobs.embedded.clickhouse.wire.codecs import choose_coding
from tokentide_jobs.embedded.clickhouse.wire.framing import FrameReader, FrameWriter, checksum
from tokentide_jobs.embedded.clickhouse.wire.native import BLOCK_INFO, upgrade


@pytest.mark.parametrize(
    ("length", "low", "high"),
    # Computed with github.com/go-faster/city v1.0.1 (CH128), with which clickhouse-go verifies.
    [
        (0, 4463240938071824939, 4374473821787594281),
        (1, 6486216246284730220, 6388508064046246170),
        (8, 11523361713925872280, 17508290113191663802),
        (16, 5656002783263626045, 11197375660488423367),
        (33, 9945740598804152081, 3842737366796904518),
        (127, 2631453588946451756, 5052673796551672110),
        (128, 5890699036923600016, 2929758656471505823),
        (145, 6431740316402245402, 11435948473705309989),
        (256, 16924925130020187973, 15294247641500407871),
        (1000, 11087032771486237732, 8139498579018419392),
        (5003, 1888709554688492608, 8196146018858330348),
    ],
)
def test_checksums_are_those_clients_verify(length: int, low: int, high: int) -> None:
    data = bytes((at * 7 + length) & 255 for at in range(length))
    assert checksum(data) == low.to_bytes(8, "little") + high.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("sql", "sent", "insert_format", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", b"INSERT INTO t\n", "CSV", b"1,2\n"),
        (
            b"INSERT INTO t (a, b) FORMAT Native\n\x02\xff'\"`\0",
            b"INSERT INTO t (a, b)\n",
            "Native",
            b"\x02\xff'\"`\0",
        ),
        (b"insert into t values (1), (2);", b"insert into t\n", "Values", b" (1), (2)"),
        (b"INSERT INTO t FORMAT CSV\n\nx", b"INSERT INTO t\n", "CSV", b"\nx"),
        (b"INSERT INTO t FORMAT CSV", b"INSERT INTO t\n", "CSV", b""),
        (
            b"INSERT INTO t SETTINGS a = 1 FORMAT TSV 1",
            b"INSERT INTO t SETTINGS a = 1\n",
            "TSV",
            b"1",
        ),
        (
            b"INSERT INTO `format` (`values`) VALUES (1)",
            b"INSERT INTO `format` (`values`)\n",
            "Values",
            b" (1)",
        ),
        (
            b"/* FORMAT x */ INSERT INTO t -- VALUES\n FORMAT CSV 1",
            b"/* FORMAT x */ INSERT INTO t -- VALUES\n",
            "CSV",
            b"1",
        ),
        (b"INSERT INTO values VALUES (1)", b"INSERT INTO values\n", "Values", b" (1)"),
        (b"INSERT INTO select VALUES (1)", b"INSERT INTO select\n", "Values", b" (1)"),
        (
            b"INSERT INTO FUNCTION file('a FORMAT b', 'CSV') FORMAT CSV 1",
            b"INSERT INTO FUNCTION file('a FORMAT b', 'CSV')\n",
            "CSV",
            b"1",
        ),
    ],
)
def test_insert_data_is_told_from_the_statement(
    sql: bytes, sent: bytes, insert_format: str, data: bytes
) -> None:
    statement = parse(sql)
    assert statement.takes_data
    assert statement.sql == sent
    assert (statement.insert_format, statement.inline_data.strip(b" ")) == (
        insert_format,
        data.strip(b" "),
    )


@pytest.mark.parametrize(
    ("sql", "keyword", "output_format", "statements"),
    [
        (b"SELECT 1", b"SELECT", None, 1),
        (b"  -- c\n# c\n/* c */ (SELECT 1) FORMAT JSON ;", b"SELECT", "JSON", 1),
        (b"SELECT 'FORMAT x', \"FORMAT y\", `FORMAT z` -- FORMAT w", b"SELECT", None, 1),
        (b"SELECT format FROM t FORMAT CSV SETTINGS a = 1", b"SELECT", "CSV", 1),
        (b"SELECT (SELECT 1 FORMAT) FORMAT", b"SELECT", None, 1),
        (b"SELECT 1; SELECT 2", b"SELECT", None, 2),
        (b"SELECT ';' ; ; ", b"SELECT", None, 1),
        (b"INSERT INTO t SELECT 1 FORMAT CSV", b"INSERT", None, 1),
        (b"INSERT INTO t SELECT 1; SELECT 2", b"INSERT", None, 2),
        (b"INSERT INTO t WITH 1 AS x SELECT x", b"INSERT", None, 1),
        (b"", b"", None, 0),
        (b"/* unclosed", b"", None, 0),
        (b"SELECT 'unclosed", b"SELECT", None, 1),
    ],
)
def test_statements_are_described(
    sql: bytes, keyword: bytes, output_format: str | None, statements: int
) -> None:
    statement = parse(sql)
    assert not statement.takes_data
    assert (statement.keyword, statement.output_format, statement.statements) == (
        keyword,
        output_format,
        statements,
    )


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (b"SELECT 1 SETTINGS a = 1", {"a": "1"}),
        (
            b"SELECT 1 SETTINGS a = {'x': 'y, z'}, b = 'FORMAT' FORMAT CSV",
            {"a": "{'x': 'y, z'}", "b": "'FORMAT'"},
        ),
        (b"SELECT 1 FORMAT CSV SETTINGS a = -1.5;", {"a": "-1.5"}),
        (b"SELECT (SELECT 1 SETTINGS a = 1)", None),
        (b"SELECT 1 AS settings", None),
        (b"SELECT 1 SETTINGS a", None),
        (b"SELECT 1 SETTINGS a = 1, ", None),
        (b"SELECT 1", None),
    ],
)
def test_the_settings_clause_is_found_only_at_the_end(
    sql: bytes, values: dict[str, str] | None
) -> None:
    found = parse(sql).settings
    assert (found[2] if found else None) == values


@pytest.mark.parametrize("text", ["", "it's", "a\\b", "tab\t\n\0", "ü '' \\' "])
def test_literals_are_quoted_and_unquoted(text: str) -> None:
    assert unquote(quote(text)) == text


def test_nested_engine_messages_are_unwrapped() -> None:
    error = from_engine(
        "Code: 164. DB::Exception: Code: 164. DB::Exception: Cannot modify 'x' setting in readonly "
        "mode. (READONLY) (version 26.9.2.1). (READONLY)"
    )
    assert (error.code, error.name, error.http_status) == (164, "READONLY", 500)
    assert error.message == "Cannot modify 'x' setting in readonly mode."
    assert from_engine("something else").code == 1002


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, *;q=0.5", "gzip"),
        ("", None),
        ("identity", None),
        ("zstd;q=0, gzip", "gzip"),
        ("LZ4", "lz4"),
    ],
)
def test_the_response_coding_is_one_the_client_accepts(accepted: str, chosen: str | None) -> None:
    assert choose_coding(accepted) == chosen


def test_several_native_blocks_are_each_upgraded() -> None:
    header, data = b"\x01\x02\x01a\x06String", b"\x01x" + b"\x81\x01" + b"y" * 129
    block, marked = header + data, BLOCK_INFO + header + b"\0" + data
    assert upgrade(block * 3, 54460) == marked * 3
    assert upgrade(block * 3, 54405) == (BLOCK_INFO + block) * 3
    assert upgrade(block, 54405, rows=2) == BLOCK_INFO + block
    assert upgrade(block, 0) == block
    with pytest.raises(ClickHouseError, match="type JSON "):
        upgrade(b"\x01\x01\x01a\x04JSON\0", 54460)


SQL_PIECES = [b"SELECT ", b"INSERT INTO t ", b"FORMAT ", b"VALUES ", b"SETTINGS a = 1", b"'", b'"']
SQL_PIECES += [
    b"`",
    b"(",
    b")",
    b"--",
    b"/*",
    b"*/",
    b"$$",
    b"\\",
    b";",
    b"\n",
    b"x",
    b",",
    b"\xff",
]


@given(st.lists(st.sampled_from(SQL_PIECES), max_size=25).map(b"".join))
def test_no_text_breaks_the_reader(sql: bytes) -> None:
    statement = parse(sql)
    assert statement.sql.rstrip() in sql
    assert statement.inline_data in sql


@given(st.binary(max_size=200))
def test_insert_data_is_passed_on_byte_by_byte(data: bytes) -> None:
    statement = parse(b"INSERT INTO t FORMAT Native\n" + data)
    assert statement.inline_data == data
    assert statement.sql == b"INSERT INTO t\n"


@given(st.binary(max_size=3000), st.sampled_from(["LZ4", "ZSTD"]), st.integers(1, 200))
def test_frames_survive_any_cut(data: bytes, method: str, cut: int) -> None:
    framed = FrameWriter(method).feed(data)
    reader = FrameReader()
    pieces = [reader.feed(framed[at : at + cut]) for at in range(0, len(framed), cut)]
    reader.finish()
    assert b"".join(pieces) == data


def test_a_frame_with_one_changed_bit_is_refused() -> None:
    framed = bytearray(FrameWriter("LZ4").feed(b"five good rows" * 20))
    framed[-1] ^= 1
    with pytest.raises(ClickHouseError, match="corrupted") as refused:
        FrameReader().feed(bytes(framed))
    assert refused.value.code == 40
