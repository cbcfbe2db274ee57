"""The pieces that read and rewrite bytes, without a server."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from tokentide_jobs.embedded.clickhouse.access.outline import outline, split_tail, unescape
from tokentide_jobs.embedded.clickhouse.access.seam import find_seam
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError, from_engine
from tokentide_jobs.embedded.clickhouse.literals import quote, quote_name
from tokentide_jobs.embedded.clickhouse.wire.codecs import choose_coding
from tokentide_jobs.embedded.clickhouse.wire.framing import FrameReader, FrameWriter, checksum
from tokentide_jobs.embedded.clickhouse.wire.native import BLOCK_INFO, upgrade

LONGEST = 100_000


@each(
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


@each(
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
        (
            b"WITH 1 AS x, (SELECT 2) AS y insert INTO t FORMAT CSV 1",
            b"WITH 1 AS x, (SELECT 2) AS y insert INTO t\n",
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
def test_insert_data_is_separated_from_the_statement(
    sql: bytes, sent: bytes, insert_format: str, data: bytes
) -> None:
    seam = find_seam(sql, LONGEST)
    assert seam is not None
    assert seam.head.split() == [*sent.split(), b"FORMAT", insert_format.encode()]
    assert (seam.insert_format, seam.data.strip(b" ")) == (insert_format, data.strip(b" "))


@each(
    "sql",
    [
        b"SELECT 1 FORMAT JSON",
        b"  -- c\n# c\n/* c */ (SELECT 1) FORMAT JSON ;",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT 1; SELECT 2",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"WITH 1 AS x SELECT x FORMAT CSV",
        b"WITH insert AS (SELECT 1) SELECT * FROM insert FORMAT CSV",
        b"WITH 1 AS x INSERT INTO t SELECT x FORMAT CSV",
        b"WITH 1",
        b"",
        b"/* unclosed",
        b"SELECT 'unclosed",
    ],
)
def test_what_carries_no_data_has_no_seam(sql: bytes) -> None:
    assert find_seam(sql, LONGEST) is None


def test_data_is_looked_for_no_further_than_a_statement_may_reach() -> None:
    assert find_seam(b"INSERT INTO t FORMAT CSV\n1", 24) is None  # CSVWithNames, perhaps
    found = find_seam(b"INSERT INTO t FORMAT CSV\n1", 25)
    assert found is not None
    assert (found.insert_format, found.data) == ("CSV", b"1")
    assert find_seam(b"INSERT INTO t " + b"(" * 1_000_000, 100) is None


@pytest.mark.parametrize("quote", [b"'", b"`", b'"'])
def test_quotes_that_never_end_are_read_once(quote: bytes) -> None:
    started_s = time.process_time()
    find_seam(b"INSERT INTO t " + (quote + b"\\") * 20_000, LONGEST)
    assert time.process_time() - started_s < 1


@each(
    ("sql", "body", "output_format", "settings"),
    [
        ("SELECT 1", "SELECT 1", None, {}),
        ("SELECT 1 FORMAT CSV", "SELECT 1", "CSV", {}),
        ("SELECT 1 SETTINGS a = 1", "SELECT 1", None, {"a": "1"}),
        (
            "SELECT 1 SETTINGS a = {'x':'y, z'}, b = 'FORMAT' FORMAT CSV",
            "SELECT 1",
            "CSV",
            {"a": "{'x':'y, z'}", "b": "'FORMAT'"},
        ),
        ("SELECT 1 SETTINGS a = 1 FORMAT CSV SETTINGS b = [-1.5, 2]", "SELECT 1", "CSV", None),
        ("SELECT (SELECT 1 SETTINGS a = 1)", "SELECT (SELECT 1 SETTINGS a = 1)", None, {}),
        ("SELECT ' SETTINGS a = 1'", "SELECT ' SETTINGS a = 1'", None, {}),
        ("SELECT ` FORMAT CSV`", "SELECT ` FORMAT CSV`", None, {}),
        (
            "INSERT INTO t SETTINGS a = 1 SELECT 1",
            "INSERT INTO t SETTINGS a = 1 SELECT 1",
            None,
            {},
        ),
    ],
)
def test_the_clauses_at_the_end_are_taken_off(
    sql: str, body: str, output_format: str | None, settings: dict[str, str] | None
) -> None:
    tail = split_tail(sql, outline(sql), with_settings=True)
    expected = {"a": "1", "b": "[-1.5, 2]"} if settings is None else settings
    assert (tail.body, tail.output_format, tail.settings) == (body, output_format, expected)


@pytest.mark.parametrize("text", ["SELECT 'a", "SELECT `a", 'SELECT "a"', "SELECT 1 -- c"])
def test_a_text_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(ClickHouseError, match="canonical"):
        outline(text)


@pytest.mark.parametrize("text", ["", "it's", "a\\b", "tab\t\n\0", "ü '' \\' "])
def test_literals_are_quoted_and_read_back(text: str) -> None:
    assert unescape(quote(text)) == text


def test_nested_engine_messages_are_unwrapped() -> None:
    error = from_engine(
        "Code: 164. DB::Exception: Code: 164. DB::Exception: Cannot modify 'x' setting in readonly "
        "mode. (READONLY) (version 26.9.2.1). (READONLY)"
    )
    assert (error.code, error.name, error.http_status) == (164, "READONLY", 500)
    assert error.message == "Cannot modify 'x' setting in readonly mode."
    assert from_engine("something else").code == 1002


def test_an_engine_message_that_is_not_utf8_is_read_with_its_bytes_replaced() -> None:
    message = b"Code: 395. DB::Exception: \xff: while executing. (FUNCTION_THROW_IF)"
    error = from_engine(UnicodeDecodeError("utf-8", message, 26, 27, "invalid start byte"))
    assert (error.code, error.name) == (395, "FUNCTION_THROW_IF")
    assert error.message == "\ufffd: while executing."


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


@given(st.binary(max_size=200))
def test_insert_data_is_passed_on_byte_by_byte(data: bytes) -> None:
    seam = find_seam(b"INSERT INTO t FORMAT Native\n" + data, LONGEST)
    assert seam is not None
    assert (seam.data, seam.head.split()) == (data, b"INSERT INTO t FORMAT Native".split())


@given(st.text(alphabet="ab'`\\\n ", max_size=30))
def test_what_stands_in_quotes_is_blanked_whatever_it_is(text: str) -> None:
    sql = f"SELECT {quote(text)}, {quote_name(text)} FROM t"
    blanked = outline(sql)
    assert len(blanked) == len(sql)
    assert blanked.replace("\0", "") == "SELECT '', `` FROM t"
    literal = sql[blanked.index("'") : blanked.rindex("'") + 1]
    assert unescape(literal) == text


@given(st.binary(max_size=3000), st.sampled_from(["LZ4", "ZSTD"]), st.integers(1, 200))
def test_frames_survive_any_cut(data: bytes, method: str, cut: int) -> None:
    framed = FrameWriter(method).feed(data)
    reader = FrameReader()
    pieces = [b"".join(reader.feed(framed[at : at + cut])) for at in range(0, len(framed), cut)]
    reader.finish()
    assert b"".join(pieces) == data


def test_a_frame_with_one_changed_bit_is_refused() -> None:
    framed = bytearray(FrameWriter("LZ4").feed(b"five good rows" * 20))
    framed[-1] ^= 1
    with pytest.raises(ClickHouseError, match="corrupted") as refused:
        list(FrameReader().feed(bytes(framed)))
    assert refused.value.code == 40


@each(
    "text",
    [
        "SELECT {id$x:String}",
        "SELECT {a$$b:UInt8}, {a$$b:UInt8}",
        "SELECT _$ + x$y$z",
        "SELECT {$x:String}, {$x:String}",
        "SELECT {$x$x$:String}",
        "SELECT {foo$x$bar:Int32}, {$x$:Int32}, {$1:Int32}",
    ],
)
def test_a_dollar_that_begins_no_text_is_part_of_a_name(text: str) -> None:
    assert outline(text) == text


@each(
    "text",
    [
        "SELECT $$a$$",
        "SELECT $x$a$x$",
        "SELECT {$x$:String}, {$x$:String}",
        "SELECT {$x$:String}, '$x$'",
        "SELECT {$x$:String}, `$x$`",
        "SELECT {$x$:String}, a$x$b",
        "SELECT 1$x$ a $x$",
        "SELECT 1a$x$ b $x$",
        "SELECT `a`$x$ b $x$",
        "SELECT é$x$ b $x$",
        "SELECT t.$x$ b $x$",
        "SELECT {$a:T}, '$', {$a:T}, '$'",
    ],
)
def test_a_dollar_that_may_begin_a_text_is_refused(text: str) -> None:
    with pytest.raises(ClickHouseError, match="that the canonical text cannot have"):
        outline(text)


def test_many_dollars_take_time_in_proportion_to_them() -> None:
    text = "SELECT " + ", ".join(f"{{$a{number}:T}}" for number in range(20_000))
    assert outline(text) == text


@each(
    "hidden",
    [
        "# '\n",
        "-- '\n",
        "// '\n",
        "/* ' */",
        "\u2018'\u2019",
        "\u00e9",
        '"\'"',
        "$$'$$",
        "$t$'$t$",
        "x'41'",
        "x`a`",
        "\0",
        "\\",
    ],
)
def test_what_may_hide_a_quote_in_the_type_of_a_parameter_is_refused(hidden: str) -> None:
    with pytest.raises(ClickHouseError, match="that the canonical text cannot have"):
        outline(f"SELECT {{a:T({hidden})}}, {{b:T({hidden})}}")


@each(
    "text", ["SELECT {a:Enum8('it''s' = -1)} / 2 - -1", "SELECT {a:Tuple(\n  `b` String)} % 3, '#'"]
)
def test_the_type_of_a_parameter_may_hold_quotes_and_line_breaks(text: str) -> None:
    assert len(outline(text)) == len(text)
