"""Tables that come with a query: read by it alone, bounded, and nothing but columns and data."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import urllib3
from clickhouse_connect.driver.external import ExternalData

from tests.each import each

pytestmark = pytest.mark.integration

Ask = Callable[..., urllib3.BaseHTTPResponse]

PRICES = b"model,usd\ngpt,2\nclaude,3\n"
CALLS = b"gpt\t10\nclaude\t1\ngpt\t5\n"


def send(
    ask: Ask, fields: list[tuple[str, Any]], *, user: str = "analyst", **url: str
) -> urllib3.BaseHTTPResponse:
    """Send a form as `user`; a field that is a pair is a file: its name and its data."""
    body, content_type = urllib3.encode_multipart_formdata(fields)
    headers = {"Content-Type": content_type, "X-ClickHouse-User": user}
    return ask(None, body=body, headers=headers, **url)


def code(answer: urllib3.BaseHTTPResponse) -> str:
    return answer.headers.get("X-ClickHouse-Exception-Code", "")


def one_file(structure: str, data: bytes = b"1\n", **more: str) -> list[tuple[str, Any]]:
    return [("t", ("t.tsv", data)), ("t_structure", structure), *more.items()]


@each("in_url", [True, False])
def test_a_reader_joins_two_tables_that_came_with_the_query(ask: Ask, in_url: bool) -> None:
    parameters = {
        "prices_structure": "model String, usd UInt32",
        "prices_format": "CSVWithNames",
        "calls_types": "String, UInt32",
        "param_least": "6",
    }
    sql = (
        "SELECT model, sum(usd * _2) AS cost FROM calls JOIN prices ON model = _1 GROUP BY model "
        "HAVING cost > {least:UInt32} ORDER BY model"
    )
    # The fields may come before and after the files that they describe.
    files = [("prices", ("prices.csv", PRICES)), ("calls", ("", CALLS))]
    if in_url:
        answer = send(ask, files, **parameters, query=sql)
    else:
        answer = send(ask, [("query", sql), *files, *parameters.items()])
    assert (answer.status, answer.data) == (200, b"gpt\t30\n")


def test_the_tables_of_one_query_are_gone_for_the_next(ask: Ask) -> None:
    assert send(ask, one_file("n UInt8"), query="SELECT n FROM t").data == b"1\n"
    assert code(ask("SELECT n FROM t")) == "60"
    session = {"session_id": "external"}
    ask("CREATE TEMPORARY TABLE own (n UInt8)", **session)
    for value in (b"2\n", b"3\n"):
        answer = send(
            ask, one_file("n UInt8", value), user="default", query="SELECT * FROM t", **session
        )
        assert answer.data == value
    assert code(ask("SELECT * FROM t", **session)) == "60"
    taken = [("own", ("own.tsv", b"4\n")), ("own_structure", "n UInt8")]
    assert code(send(ask, taken, user="default", query="SELECT * FROM own", **session)) == "57"
    assert ask("SELECT count() FROM own", **session).data == b"0\n"


def test_an_account_that_only_reads_still_only_reads(ask: Ask, table: str) -> None:
    for sql in (f"INSERT INTO {table} SELECT n, '' FROM t", "CREATE TEMPORARY TABLE u (n UInt8)"):
        assert code(send(ask, one_file("n UInt8"), query=sql)) == "164"
    filled = send(
        ask, one_file("n UInt8"), user="default", query=f"INSERT INTO {table} SELECT n, '' FROM t"
    )
    assert filled.status == 200
    assert ask(f"SELECT a FROM {table}").data == b"1\n"


HOSTILE = {
    "a default reads a file": ("n String DEFAULT file('/etc/passwd')", "497"),
    "a default is evaluated": ("n UInt8 DEFAULT sleep(3)", "36"),
    "a constant default": ("n UInt8 DEFAULT 1", "36"),
    "an engine": ("n UInt8) ENGINE = URL('http://127.0.0.1:1/', CSV) --", "497"),
    "an engine that is allowed": ("n UInt8) ENGINE = Memory --", "36"),
    "a select": ("n UInt8) AS SELECT 1 --", "36"),
    "a select of hidden statements": ("n UInt8) AS SELECT 1 FROM system.query_log --", "497"),
    "a second statement": ("n UInt8); DROP TABLE t --", "62"),
    "a time to live": ("n Date TTL n + 1", "36"),
    "a codec": ("n UInt8 CODEC(ZSTD)", "36"),
    "an index": ("n UInt8, INDEX i n TYPE minmax", "36"),
    "a constraint": ("n UInt8, CONSTRAINT c CHECK n > 0", "36"),
    "a key": ("n UInt8 PRIMARY KEY", "36"),
    "a projection": ("n UInt8, PROJECTION p (SELECT n)", "36"),
    "settings": ("n UInt8) SETTINGS allow_introspection_functions = 1 --", "36"),
    "a file to write": ("n UInt8) INTO OUTFILE 'x' --", "62"),
    "states that nothing checked": ("n AggregateFunction(uniq, UInt64)", "48"),
    "a line break in a name": ("`a\n   ColumnDeclaration b (children 1)` UInt8", "62"),
    "no type": ("n", "62"),
    "no column": ("", "36"),
}


@each(("structure", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_a_structure_holds_names_and_types(ask: Ask, structure: str, expected: str) -> None:
    assert code(send(ask, one_file(structure), query="SELECT 1")) == expected
    as_types = [("t", ("t", b"")), ("t_types", structure)]
    if structure:
        assert send(ask, as_types, query="SELECT 1").status != 200


BINARY_STATE = b"\x25\x00\x03sum\x00\x01\x01" + bytes(8)
NATIVE_STATE = b"\x01\x01\x01n\x1dAggregateFunction(sum, UInt8)" + bytes(8)


@each(
    ("structure", "data", "data_format"),
    [
        ("n Dynamic", BINARY_STATE, "RowBinary"),
        ("n Array(Dynamic)", b"\x01" + BINARY_STATE, "RowBinary"),
        ("n Tuple(a JSON)", BINARY_STATE, "RowBinaryWithNames"),
        ("n Variant(String, UInt8)", b"\x01\x01a", "RowBinary"),
        ("n Dynamic", b"", "Native"),
        ("n String", NATIVE_STATE, "Native"),
    ],
)
def test_binary_data_brings_no_state_as_a_type_of_its_own(
    ask: Ask, structure: str, data: bytes, data_format: str
) -> None:
    fields = one_file(structure, data, t_format=data_format)
    assert code(send(ask, fields, query="SELECT * FROM t")) == "48"


def test_json_lines_may_hold_values_of_any_plain_type(ask: Ask) -> None:
    fields = one_file("d Dynamic, j JSON", b'{"d":1,"j":{"a":2}}', t_format="JSONEachRow")
    assert send(ask, fields, query="SELECT d, j.a FROM t").data == b"1\t2\n"
    fields = one_file("n SimpleAggregateFunction(sum, UInt64)")
    assert send(ask, fields, query="SELECT n FROM t").data == b"1\n"


@each("name", ["Values", "Regexp", "CapnProto", "AvroConfluent", "RowBinaryWithNamesAndTypes"])
def test_formats_that_look_beyond_the_data_are_refused(ask: Ask, name: str) -> None:
    assert code(send(ask, one_file("n UInt8", t_format=name), query="SELECT * FROM t")) == "73"


def test_a_form_that_cannot_be_read_is_refused(ask: Ask) -> None:
    many = [(f"t{n}", (f"t{n}", b"")) for n in range(33)]
    long = [("query", "SELECT 1 --" + "x" * (4 << 20))]
    twice = [*one_file("n UInt8"), *one_file("n UInt8")]
    for fields in (many, long, twice):
        assert code(send(ask, fields)) == "36"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in (b"", b"--b\r\n", b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--"):
        assert code(ask(None, body=body, headers=headers)) == "36"
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nutf-9\r\n--b--\r\n'
    for name in (b"a\x01b", b"a" * 200_000, b"_charset_"):
        answer = ask(None, body=part % name, headers=headers)
        assert (code(answer), answer.status) == ("36", 400)
    assert code(send(ask, [], query="SELECT 1", other_format="CSV")) == "164"  # of no file


def test_a_small_file_that_holds_a_large_table_is_stopped(ask: Ask) -> None:
    packed = io.BytesIO()
    pq.write_table(pa.table({"n": np.zeros(16_000_000, dtype=np.uint64)}), packed)
    assert packed.tell() < 100_000
    fields = one_file("n UInt64", packed.getvalue(), t_format="Parquet")
    answer = send(ask, fields, query="SELECT count() FROM t")
    assert (code(answer), answer.status) == ("241", 500)


def test_tables_that_need_all_memory_wait_for_each_other(ask: Ask) -> None:
    rows = b"x" * 99 + b"\n"
    fields = one_file("n String", rows * 150_000)  # eight times that is more than there is
    answers: list[bytes] = []

    def read() -> None:
        answers.append(send(ask, fields, query="SELECT count(), sleep(0.2) FROM t").data)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert answers == [b"150000\t0\n"] * 3


def test_a_client_sends_its_frames_as_tables(sql_server: str) -> None:
    frame = pa.table({"model": ["gpt", "claude"], "usd": pa.array([2, None], pa.int64())})
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, frame.schema) as writer:
        writer.write_table(frame)
    data = ExternalData(
        file_name="prices",
        data=sink.getvalue(),
        fmt="Arrow",
        structure=["model String", "usd Nullable(Int64)"],
    )
    with clickhouse_connect.get_client(dsn=sql_server, username="analyst") as client:
        rows = client.query("SELECT * FROM prices ORDER BY model", external_data=data).result_rows
    assert rows == [("claude", None), ("gpt", 2)]
