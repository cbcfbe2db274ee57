"""An account that only reads gets states of aggregate functions from stored columns alone.

A state that comes as text is read back without a check: 19 bytes reserve 800 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import urllib3

pytestmark = pytest.mark.integration

Ask = Callable[..., urllib3.BaseHTTPResponse]

STATE = "AggregateFunction(groupArraySorted(5), String)"
HIDDEN = "`\\\\x41ggregateFunction`(groupArraySorted(5), String)"
BYTES = "unhex('0501023132010231feff00ffbfffffff027130')"

AS_TYPES = (
    f"SELECT finalizeAggregation(CAST({BYTES}, '{STATE}'))",
    f"SELECT finalizeAggregation(CAST({BYTES} AS {STATE}))",
    f"SELECT finalizeAggregation({BYTES}::{STATE})",
    f"SELECT cast({BYTES}, '{STATE}')",
    f"SELECT _CAST({BYTES}, '{STATE}')",
    f"SELECT `CAST`({BYTES}, '{STATE}' AS t)",
    f"SELECT accurateCast({BYTES}, '{STATE}')",
    f"SELECT accurateCastOrNull({BYTES}, '{STATE}')",
    f"SELECT accurateCastOrDefault({BYTES}, '{STATE}')",
    f"SELECT reinterpret({BYTES}, '{STATE}')",
    f"SELECT CAST({BYTES}, '{HIDDEN}')",
    f"SELECT CAST({BYTES}, concat('Aggregate', 'Function(sum, UInt8)'))",
    f"WITH '{STATE}' AS t SELECT CAST({BYTES}, t)",
    f"SELECT CAST({BYTES}, toTypeName(groupArraySortedState(5)('a')))",
    f"SELECT CAST([{BYTES}], 'Array({STATE})')",
    f"SELECT CAST(({BYTES}, 1), 'Tuple(a {STATE}, b UInt8)')",
    f"SELECT CAST(map('a', {BYTES}), 'Map(String, {STATE})')",
    f"SELECT CAST({BYTES}, 'Variant({STATE}, UInt8)')",
    f"SELECT CAST('{{}}', 'JSON(a {STATE})')",
    f"SELECT CAST({BYTES}, 'SimpleAggregateFunction(anyLast, {STATE})')",
    f"SELECT arrayMap(x -> CAST(x, '{STATE}'), [{BYTES}])",
    f"SELECT 1 WHERE 1 IN (SELECT CAST({BYTES}, '{STATE}'))",
    f"EXPLAIN QUERY TREE SELECT CAST({BYTES}, '{STATE}')",
    "SELECT 1 SETTINGS additional_result_filter = "
    "'CAST(\\'1\\', \\'AggregateFunction(uniq, UInt64)\\') = 1'",
    f"SELECT cast_to(1, '{STATE}')",
)

AS_COLUMNS = (
    f"SELECT * FROM values('x {STATE}', {BYTES})",
    f"SELECT * FROM VALUES('x {STATE}', {BYTES})",
    f"SELECT * FROM values('x {HIDDEN}', {BYTES})",
    f"WITH 'x {STATE}' AS t SELECT * FROM values((t), {BYTES})",
    "SELECT * FROM values('index AggregateFunction(sum, UInt8)', '1')",
    f"SELECT * FROM null('x {STATE}')",
    f"SELECT * FROM format(TSV, 'x {STATE}', {BYTES})",
    f"SELECT 1 IN format(TSV, 'x {STATE}', {BYTES})",
)

EVALUATED = (
    "SELECT * FROM format(JSONEachRow, 'a String, b String DEFAULT upper(a)', '{}')",
    "SELECT * FROM format(JSONEachRow, concat('a String DEFAULT file(', ')'), '{}')",
    "SELECT * FROM values('a String ALIAS upper(b), b String', 'x')",
    "SELECT * FROM format(Values, 'x String', '(upper(1))')",
    "SELECT * FROM format('Values', '(upper(1))')",
    "WITH 'Values' AS CSV SELECT * FROM format(CSV, '(upper(1))')",
    "SELECT * FROM format(concat('Val', 'ues'), '(upper(1))')",
    "SELECT * FROM format(RowBinary, 'x Dynamic', 'x')",
    "SELECT * FROM format(TSVWithNamesAndTypes, 'x\\nUInt8\\n1\\n')",
    "DESCRIBE TABLE format(Native, 'x')",
)


@pytest.fixture(scope="module", autouse=True)
def stored(ask: Ask) -> Iterator[None]:
    for sql in (
        "CREATE TABLE stored (d UInt8, s AggregateFunction(uniq, UInt64)) "
        "ENGINE = AggregatingMergeTree ORDER BY d",
        "INSERT INTO stored SELECT 1, uniqState(number) FROM numbers(10)",
        "CREATE FUNCTION cast_to AS (x, t) -> CAST(x, t)",
    ):
        assert ask(sql).status == 200
    yield
    ask("DROP TABLE stored")
    ask("DROP FUNCTION cast_to")


def let_through(ask: Ask, attempts: tuple[str, ...], user: str) -> list[tuple[str, bytes]]:
    answers = [(sql, ask(sql, user=user)) for sql in attempts]
    return [
        (sql, answer.data[:200])
        for sql, answer in answers
        if answer.headers.get("X-ClickHouse-Exception-Code") != "497"
    ]


def test_no_text_becomes_a_state(ask: Ask) -> None:
    assert let_through(ask, (*AS_TYPES, *AS_COLUMNS), "analyst") == []


@pytest.mark.parametrize(
    "type_name", [STATE, f"Array({STATE})", HIDDEN.replace("\\\\", "\\"), "{t}"]
)
def test_no_parameter_becomes_a_state(ask: Ask, type_name: str) -> None:
    sql = f"SELECT {{x:{type_name}}}"
    if type_name == "{t}":
        sql = "SELECT CAST({x:String}, {t:String})"
    refused = ask(sql, user="analyst", param_x="1", param_t=STATE)
    # Refused by the endpoint, and not by the engine that has read the value.
    assert b"stored columns alone" in refused.data


def test_columns_and_data_in_a_text_are_not_evaluated_for_any_account(ask: Ask) -> None:
    for user in ("default", "analyst"):
        assert let_through(ask, EVALUATED, user) == []


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT uniqMerge(s), finalizeAggregation(any(s)) FROM stored GROUP BY d", b"10\t10\n"),
        ("SELECT finalizeAggregation(initializeAggregation('sumState', 2))", b"2\n"),
        ("SELECT arrayReduce('sumMerge', [sumState(1), sumState(2)])", b"3\n"),
        ("SELECT CAST(1 AS SimpleAggregateFunction(sum, UInt64)), 1::UInt8", b"1\t1\n"),
        ("SELECT CAST('a\\'b', 'Enum8(\\'a\\\\\\'b\\' = 1)')", b"a\\'b\n"),
        ("SELECT * FROM values('x UInt8, `y z` String', (1, 'a'))", b"1\ta\n"),
        ("SELECT * FROM values('a', 'b')", b"a\nb\n"),
        ("SELECT * FROM values((1, 2), (3, 4))", b"1\t2\n3\t4\n"),
        ("SELECT format('{} {}', 'a', 'b')", b"a b\n"),
        ("SELECT {x:Array(String)}, {x:String}", b"['a']\t[\\'a\\']\n"),
    ],
)
def test_what_an_analyst_casts_stays(ask: Ask, sql: str, expected: bytes) -> None:
    answer = ask(sql, user="analyst", param_x="['a']")
    assert answer.data == expected


def test_who_may_write_casts_states_and_reads_formats(ask: Ask) -> None:
    cast = "CAST('12345678', 'AggregateFunction(sum, UInt8)')"
    assert ask(f"SELECT finalizeAggregation({cast})").data == b"4050765991979987505\n"
    for sql in (
        "SELECT * FROM format(CSV, 'a UInt8', '1')",
        "SELECT * FROM format(JSONEachRow, '{\"a\": 1}')",
    ):
        assert ask(sql).data == b"1\n"


def test_bytes_of_parquet_are_read_for_who_may_write_alone(ask: Ask) -> None:
    file = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), file)
    data = f"unhex('{file.getvalue().to_pybytes().hex()}')"
    attempts = (
        f"SELECT * FROM format(Parquet, {data})",
        f"SELECT * FROM format('parquet', 'a UInt8', {data})",
    )
    assert [ask(sql).data for sql in attempts] == [b"1\tx\n2\t\\N\n", b"1\n2\n"]
    assert let_through(ask, attempts, "analyst") == []
    # The format's name as an alias of another, and columns that are more than names and types.
    evaluated = (
        f"WITH 'Values' AS Parquet SELECT * FROM format(Parquet, {data})",
        f"SELECT * FROM format(Parquet, 'a UInt8, b String DEFAULT upper(a)', {data})",
    )
    assert let_through(ask, evaluated, "default") == []
