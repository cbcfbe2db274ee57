"""clickhouse-connect, sync and async, works unchanged."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from clickhouse_connect.driver.asyncclient import AsyncClient
    from clickhouse_connect.driver.client import Client

MOMENT = dt.datetime(2026, 11, 22, 10, 11, 12, 123456, tzinfo=dt.UTC)
COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "id": ("UUID", [uuid.UUID(int=1), uuid.UUID(int=2)]),
    "tenant": ("LowCardinality(String)", ["acme", ""]),
    "at": ("DateTime64(6, 'UTC')", [MOMENT, MOMENT]),
    "day": ("Date", [dt.date(2026, 11, 22), dt.date(1970, 1, 1)]),
    "tokens": ("Nullable(UInt64)", [5, None]),
    "cost": ("Nullable(Int64)", [None, -(2**63)]),
    "wide": ("Int128", [2**100, -(2**100)]),
    "price": ("Decimal(38, 12)", [decimal.Decimal("1.5"), decimal.Decimal("-0.000000000001")]),
    "score": ("Float64", [0.1, -1e300]),
    "ok": ("Bool", [True, False]),
    "tags": ("Map(LowCardinality(String), String)", [{"team": "a"}, {}]),
    "hist": ("Map(Int16, UInt64)", [{-32768: 1, 5: 2}, {}]),
    "reasons": ("Array(LowCardinality(String))", [["stop", "length"], []]),
    "maybe": ("LowCardinality(Nullable(String))", ["x", None]),
    "pair": ("Tuple(UInt8, String)", [(1, "a"), (2, "b")]),
    "code": ("FixedString(3)", [b"abc", b"de\0"]),
    "kind": ("Enum8('a' = 1, 'b' = 2)", ["a", "b"]),
    "text": ("String", ["unicode ü\n'quoted'\\", "x" * 100_000]),
}


@pytest.fixture(scope="module")
def client(sql_server: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=sql_server) as client:
        yield client


@pytest.fixture
async def aclient(sql_server: str) -> AsyncIterator[AsyncClient]:
    client = await clickhouse_connect.get_async_client(dsn=sql_server)
    yield client
    await client.close()


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    name = f"c_{uuid.uuid4().hex[:12]}"
    columns = ", ".join(f"{column} {kind}" for column, (kind, _) in COLUMNS.items())
    client.command(
        f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY id "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    yield name
    client.command(f"DROP TABLE {name}")


def test_every_type_survives_an_insert_and_a_query(client: Client, table: str) -> None:
    values = [column for _, column in COLUMNS.values()]
    summary = client.insert(table, values, column_names=list(COLUMNS), column_oriented=True)
    assert summary.written_rows == 2
    result = client.query(
        f"SELECT * FROM {table} ORDER BY id", column_oriented=True, tz_mode="aware"
    )
    assert result.column_names == tuple(COLUMNS)
    for name, (_, expected) in COLUMNS.items():
        assert list(result.result_set[list(COLUMNS).index(name)]) == expected, name


def test_two_million_rows_arrive_in_many_compressed_blocks(client: Client) -> None:
    client.command("CREATE TABLE million (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    rows = 2_000_000
    numbers: Any = np.arange(rows, dtype=np.uint64)
    names = [f"n{n % 1000}" for n in range(rows)]
    client.insert("million", [numbers, names], column_names=["a", "s"], column_oriented=True)
    sql = "SELECT count(), sum(a), groupBitXor(cityHash64(a, s)) FROM million"
    expected_sql = (
        "SELECT count(), sum(number), groupBitXor(cityHash64(number, "
        f"concat('n', toString(number % 1000)))) FROM numbers({rows})"
    )
    assert client.query(sql).first_row == client.query(expected_sql).first_row
    with client.query_column_block_stream("SELECT a, s FROM million ORDER BY a") as stream:
        seen = last = 0
        for numbers_block, names_block in stream:
            seen += len(numbers_block)
            last = numbers_block[-1]
            assert names_block[-1] == f"n{last % 1000}"
    assert (seen, last) == (rows, rows - 1)
    client.command("DROP TABLE million")


def test_arrow_goes_in_and_comes_out(client: Client) -> None:
    client.command(
        "CREATE TABLE arrows (id UUID, tenant LowCardinality(String), cost Decimal(38, 0), "
        "tags_json String EPHEMERAL '', hist Map(Int16, UInt64), at DateTime64(6, 'UTC'), "
        "tags Map(LowCardinality(String), String) DEFAULT "
        "JSONExtract(tags_json, 'Map(LowCardinality(String), String)')) "
        "ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
    )
    rows = 50_000
    ids = [str(uuid.UUID(int=n)) for n in range(rows)]
    batch = pa.table(
        {
            "id": ids,
            "tenant": pa.array([f"t{n % 7}" for n in range(rows)]).dictionary_encode(),
            "cost": pa.array([decimal.Decimal(n) for n in range(rows)], pa.decimal128(38, 0)),
            "tags_json": ['{"team": "a"}'] * rows,
            "hist": pa.array([[(1, 2)]] * rows, pa.map_(pa.int16(), pa.uint64())),
            "at": pa.array([MOMENT] * rows, pa.timestamp("us", "UTC")),
        }
    )
    settings = {"async_insert": 0, "insert_deduplication_token": "arrows/0-50000"}
    for _ in range(2):
        client.insert_arrow("arrows", batch, settings=settings)
    sql = "SELECT count(), sum(cost), uniqExact(id), any(tags), any(hist), any(at) FROM arrows"
    assert client.query(sql, tz_mode="aware").first_row == (
        rows,
        decimal.Decimal(rows * (rows - 1) // 2),
        rows,
        {"team": "a"},
        {1: 2},
        MOMENT,
    )
    out = client.query_arrow("SELECT toString(id) AS id, cost FROM arrows ORDER BY cost")
    assert out.column("id").to_pylist() == ids
    with client.query_arrow_stream("SELECT cost FROM arrows") as stream:
        assert sum(block.num_rows for block in stream) == rows
    client.command("DROP TABLE arrows")


def test_raw_inserts_commands_and_parameters_work(client: Client, table: str) -> None:
    rows = b'{"id":"00000000-0000-0000-0000-000000000001","tenant":"a"}\n'
    client.raw_insert(table, ["id", "tenant"], rows, fmt="JSONEachRow")
    other = gzip.compress(rows.replace(b"1", b"2"))
    client.raw_insert(table, ["id", "tenant"], other, fmt="JSONEachRow", compression="gzip")
    assert client.command(f"SELECT count() FROM {table}") == 2
    names = ["it's", "back\\slash", "tab\t"]
    parameters = {"names": names, "at": MOMENT, "table": table}
    sql = "SELECT {names:Array(String)}, {at:DateTime64(6, 'UTC')} FROM {table:Identifier} LIMIT 1"
    found = client.query(sql, parameters=parameters, tz_mode="aware").first_row
    assert found == (names, MOMENT)
    assert client.query("SELECT %(x)s", parameters={"x": "it's"}).first_row == ("it's",)


def test_settings_of_an_insert_are_its_own(client: Client, table: str) -> None:
    data = [[uuid.UUID(int=9), "a"]]
    settings = {
        "async_insert": 0,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "insert_deduplication_token": f"{table}/1",
        "log_comment": f"{table}/1",
    }
    for _ in range(3):
        client.insert(table, data, column_names=["id", "tenant"], settings=settings)
    client.insert(table, data, column_names=["id", "tenant"])
    assert client.command(f"SELECT count() FROM {table}") == 2
    client.command("SYSTEM FLUSH LOGS")
    logged = (
        "SELECT count() FROM system.query_log "
        "WHERE log_comment = {c:String} AND query LIKE 'INSERT%'"
    )
    assert client.query(logged, parameters={"c": f"{table}/1"}).first_row == (3,)


def test_errors_carry_their_code_and_name(client: Client, table: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.query("SELECT * FROM no_such_table")
    assert (refused.value.code, refused.value.name) == (60, "UNKNOWN_TABLE")
    with pytest.raises(DatabaseError) as late:
        client.query("SELECT throwIf(number = 2999999) FROM numbers(3000000)")
    assert late.value.code == 395
    with pytest.raises(DatabaseError) as bad:
        client.raw_insert(table, ["id"], b'{"id":"not a uuid"}', fmt="JSONEachRow")
    assert bad.value.code is not None
    assert client.query("SELECT 1").first_row == (1,)


def test_a_streamed_query_that_fails_late_raises(client: Client) -> None:
    sql = "SELECT number, throwIf(number = 2900000) FROM numbers(3000000) SETTINGS max_threads = 1"
    with (
        pytest.raises(Exception, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        client.query_row_block_stream(sql) as stream,
    ):
        for _ in stream:
            pass


@pytest.mark.parametrize("coding", ["lz4", "zstd", "gzip", False])
def test_every_compression_works_both_ways(sql_server: str, coding: str | bool) -> None:
    with clickhouse_connect.get_client(dsn=sql_server, compress=coding) as client:
        client.command("CREATE TABLE IF NOT EXISTS squeezed (a UInt64) ENGINE = Memory")
        client.insert("squeezed", [list(range(300_000))], column_names=["a"], column_oriented=True)
        rows = client.query("SELECT a FROM squeezed", column_oriented=True).result_columns[0]
        assert sum(rows) == 299_999 * 150_000
        client.command("DROP TABLE squeezed")


def test_form_encoded_queries_work(sql_server: str) -> None:
    with clickhouse_connect.get_client(dsn=sql_server, form_encode_query_params=True) as client:
        numbers = list(range(20_000))
        sql = "SELECT count() FROM numbers(30000) WHERE has({wanted:Array(UInt32)}, number)"
        assert client.query(sql, parameters={"wanted": numbers}).first_row == (20_000,)


def test_temporary_tables_live_in_the_clients_session(sql_server: str) -> None:
    with clickhouse_connect.get_client(dsn=sql_server) as client:
        client.command("CREATE TEMPORARY TABLE scratch (a UInt8)")
        client.insert("scratch", [[1], [2]], column_names=["a"], column_type_names=["UInt8"])
        assert client.query("SELECT sum(a) FROM scratch").first_row == (3,)


async def test_the_async_client_reads_inserts_and_streams(aclient: AsyncClient) -> None:
    import asyncio

    await aclient.command("CREATE TABLE from_async (a UInt64, s String) ENGINE = Memory")

    async def write(number: int) -> None:
        rows = [[number * 1000 + n, "x"] for n in range(1000)]
        await aclient.insert("from_async", rows, column_names=["a", "s"])

    await asyncio.gather(*(write(number) for number in range(20)))
    result = await aclient.query("SELECT count(), sum(a) FROM from_async")
    assert result.first_row == (20_000, 19_999 * 10_000)
    await aclient.insert_arrow("from_async", pa.table({"a": [1], "s": ["y"]}))
    total = 0
    stream = await aclient.query_row_block_stream("SELECT number FROM numbers(500000)")
    async with stream:
        async for block in stream:
            total += len(block)
    assert total == 500_000
    with pytest.raises(DatabaseError) as refused:
        await aclient.query("SELECT nope")
    assert refused.value.code == 47
    await aclient.command("DROP TABLE from_async")
