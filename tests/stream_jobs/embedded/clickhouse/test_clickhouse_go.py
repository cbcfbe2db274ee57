"""clickhouse-go over HTTP, the client inside Grafana's data source, works unchanged."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.go_program import build_go_program
from tests.sampling import share

pytestmark = pytest.mark.integration

SOURCE = Path(__file__).parent / "goclient"

VALUES = {
    "u8": "toUInt8(200 + number)",
    "i64": "toInt64(-5 - number)",
    "u128": "toUInt128('340282366920938463463374607431768211455')",
    "i128": "toInt128('-170141183460469231731687303715884105728')",
    "u256": "toUInt256(number)",
    "f64": "number + 0.25",
    "b": "number = 1",
    "s": "concat('text ', toString(number), repeat('x', number * 200))",
    "fixed": "toFixedString('ab', 2)",
    "uuid": "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')",
    "day": "toDate('2026-11-22')",
    "day32": "toDate32('1950-01-02')",
    "second": "toDateTime('2026-11-22 10:11:12', 'UTC')",
    "micro": "toDateTime64('2026-11-22 10:11:12.123456', 6, 'UTC')",
    "d9": "toDecimal32('1.25', 2)",
    "d18": "toDecimal64('12345678.9', 4)",
    "d38": "toDecimal128('-3.000000000001', 12)",
    "d76": "toDecimal256('7.5', 1)",
    "e8": "CAST('two', 'Enum8(\\'one\\' = 1, \\'two\\' = 2)')",
    "ip4": "toIPv4('10.0.0.1')",
    "ip6": "toIPv6('2001:db8::1')",
    "nullable": "if(number = 0, NULL, number)",
    "nullable_s": "if(number = 0, NULL, 'here')",
    "low": "toLowCardinality(toString(number))",
    "low_null": "CAST(if(number = 0, NULL, 'lc') AS LowCardinality(Nullable(String)))",
    "strings": "['a', toString(number)]",
    "low_array": "CAST(['p', 'q'] AS Array(LowCardinality(String)))",
    "empty": "CAST([] AS Array(LowCardinality(String)))",
    "nested_array": "[[1, 2], [toUInt8(number)]]",
    "pairs": "map('k', number)",
    "low_pairs": "CAST(map('k', 'v') AS Map(LowCardinality(String), LowCardinality(String)))",
    "hist": "CAST(map(-3, 7) AS Map(Int16, UInt64))",
    "tuple": "CAST((1, 'x') AS Tuple(UInt8, String))",
    "named": "CAST((1, 'x') AS Tuple(a UInt8, b LowCardinality(String)))",
    "rows_of_tuples": "[(1, 'x'), (2, 'y')]",
    "nested": "CAST([(1, 'x')] AS Nested(a UInt8, b String))",
    "simple": "CAST(5 AS SimpleAggregateFunction(sum, UInt64))",
    "span": "toIntervalDay(3)",
    "point": "CAST((1.5, 2.5) AS Point)",
}
EXPECTED_SECOND_ROW = {
    "u8": "201",
    "i64": "-6",
    "u128": "340282366920938463463374607431768211455",
    "i128": "-170141183460469231731687303715884105728",
    "f64": "1.25",
    "b": "1",
    "s": "text 1" + "x" * 200,
    "fixed": "ab",
    "uuid": "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
    "day": "2026-11-22 00:00:00",
    "second": "2026-11-22 10:11:12",
    "micro": "2026-11-22 10:11:12.123456",
    "d18": "12345678.9",
    "d38": "-3.000000000001",
    "e8": "two",
    "nullable": "1",
    "nullable_s": "here",
    "low": "1",
    "low_null": "lc",
    "strings": "[a 1]",
    "low_array": "[p q]",
    "empty": "[]",
    "pairs": "map[k:1]",
    "low_pairs": "map[k:v]",
    "hist": "map[-3:7]",
}


@pytest.fixture(scope="module")
def goclient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled Go program; the tests are skipped where it cannot be built."""
    return build_go_program(SOURCE, ".", tmp_path_factory.mktemp("go") / "goclient")


def run(goclient: Path, url: str, user: str, compression: str) -> dict[str, Any]:
    # A sentinel after every column: a byte too many or too few anywhere shifts all that follow.
    columns = ", ".join(
        f"{expression} AS {name}, toUInt32({1000 + at}) AS after_{name}"
        for at, (name, expression) in enumerate(VALUES.items())
    )
    sql = f"SELECT {columns} FROM numbers(2) ORDER BY number"
    done = subprocess.run(
        [str(goclient), url.removeprefix("http://"), user, compression, sql],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


# The account of Grafana below asks for gzip, and other clients' tests for nothing.
@pytest.mark.parametrize("compression", share(["lz4", "none", "zstd", "gzip", "br"], 2))
def test_clickhouse_go_reads_every_type_and_inserts_batches(
    goclient: Path, sql_server: str, compression: str
) -> None:
    seen = run(goclient, sql_server, "default", compression)
    for at, name in enumerate(VALUES):
        assert seen["types"][f"after_{name}"] == [str(1000 + at)] * 2, name
    for name, expected in EXPECTED_SECOND_ROW.items():
        assert seen["types"][name][1] == expected, name
    assert seen["types"]["nullable"][0] == "NULL"
    assert seen["streamed"] == {
        "rows": 300_000,
        "sum": 299_999 * 300_000 // 2,
        "pairs": 299_999 * 300_000 // 2,
        "nulls": 100_000,
    }
    assert seen["inserted"] == {"count": 50_000, "sum": 49_999 * 50_000 // 2}
    assert seen["error_code"]["unknown_table"] == 60
    assert "no_such_table" in seen["error_text"]
    assert seen["error_code"]["mid_stream"] == 395
    assert seen["error_code"]["max_execution_time"] == 159
    assert seen["setting"] == "1"


def test_clickhouse_go_works_for_the_read_only_grafana_user(
    goclient: Path, sql_server: str
) -> None:
    seen = run(goclient, sql_server, "grafana", "gzip")
    assert seen["server_name"] == "tokentide"
    assert seen["error_code"]["create"] == 164
    assert seen["error_code"]["max_execution_time"] == 159
    assert seen["setting"] == "1"
