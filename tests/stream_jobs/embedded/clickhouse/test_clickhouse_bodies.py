"""Insert data over HTTP: wherever it stands, however it is packed, whole or not at all."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import cramjam
import lz4.frame
import pytest
import urllib3
from backports import zstd

from tokentide_jobs.embedded.clickhouse.wire.framing import FrameReader, FrameWriter

pytestmark = pytest.mark.integration

Ask = Callable[..., urllib3.BaseHTTPResponse]


def text(response: urllib3.BaseHTTPResponse) -> str:
    assert response.status == 200, response.data
    return response.data.decode()


@pytest.mark.parametrize("split", ["url", "body", "values"])
def test_insert_data_may_follow_the_statement_anywhere(ask: Ask, table: str, split: str) -> None:
    if split == "url":
        ask(f"INSERT INTO {table} FORMAT JSONEachRow", body=b'{"a":1,"s":"x"}\n{"a":2,"s":"y"}')
    elif split == "body":
        ask(body=f"INSERT INTO {table} (a, s) FORMAT CSV\n1,x\n2,y\n".encode())
    else:
        ask(f"INSERT INTO {table} VALUES", body=b"(1, 'x'), (2, concat('y', ''))")
    assert text(ask(f"SELECT * FROM {table} ORDER BY a")) == "1\tx\n2\ty\n"


def test_insert_select_and_settings_inside_the_statement_work(ask: Ask, table: str) -> None:
    sql = f"INSERT INTO {table} SELECT number, 'x' FROM numbers(5)"
    assert ask(sql).status == 200
    for _ in range(2):
        sql = f"INSERT INTO {table} SETTINGS insert_deduplication_token = 'q' VALUES (9, 'z')"
        assert ask(body=sql.encode()).status == 200
    assert text(ask(f"SELECT count() FROM {table}")) == "6\n"


def test_insert_select_from_input_is_not_supported_and_says_so(ask: Ask, table: str) -> None:
    sql = f"INSERT INTO {table} SELECT a * 2, upper(s) FROM input('a UInt64, s String') FORMAT CSV"
    response = ask(sql, body=b"1,x\n2,y\n")
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
    assert b"insert into a table first" in response.data


def test_a_retried_insert_is_stored_once_also_behind_views(ask: Ask, table: str) -> None:
    for _ in range(3):
        response = ask(
            f"INSERT INTO {table} FORMAT CSV",
            body=b"1,a\n2,b\n",
            async_insert="0",
            insert_deduplication_token="t/0/0-2",
            deduplicate_blocks_in_dependent_materialized_views="1",
            log_comment="t/0/0-2",
        )
        assert response.status == 200
    assert text(ask(f"SELECT count() FROM {table}")) == "2\n"
    assert text(ask(f"SELECT sum(n) FROM {table}_n")) == "2\n"


def test_bad_insert_data_is_refused_whole(ask: Ask, table: str) -> None:
    response = ask(f"INSERT INTO {table} FORMAT CSV", body=b"1,a\nnot a number,b\n")
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (400, "27")
    assert text(ask(f"SELECT count() FROM {table}")) == "0\n"


def test_a_body_that_ends_early_inserts_nothing(sql_server: str, ask: Ask, table: str) -> None:
    import http.client

    host = sql_server.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.putrequest("POST", f"/?query=INSERT%20INTO%20{table}%20FORMAT%20CSV")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders(b"1,a\n2,b\n")
    connection.close()
    # The insert ends when the server notices; until then a new one must see no rows of it.
    assert ask(f"INSERT INTO {table} FORMAT CSV", body=b"7,z\n").status == 200
    assert text(ask(f"SELECT a FROM {table}")) == "7\n"


CSV = b"".join(b"%d,some text %d\n" % (n, n % 10) for n in range(100_000))
HALVES = (CSV[: CSV.index(b"\n", 500_000) + 1], CSV[CSV.index(b"\n", 500_000) + 1 :])


@pytest.mark.parametrize(
    ("coding", "frames"),
    [("gzip", 2), ("deflate", 2), ("lz4", 1), ("lz4", 2), ("zstd", 2), ("br", 1), ("snappy", 1)],
)
def test_compressed_bodies_of_any_number_of_frames_arrive_whole(
    ask: Ask, table: str, coding: str, frames: int
) -> None:
    compress: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "lz4": lz4.frame.compress,
        "zstd": zstd.compress,
        "br": lambda data: bytes(cramjam.brotli.compress(data, level=1)),
        "snappy": lambda data: bytes(cramjam.snappy.compress(data)),
    }
    parts = [CSV] if frames == 1 else HALVES
    body = b"".join(compress[coding](part) for part in parts)
    sql = f"INSERT INTO {table} FORMAT CSV"
    assert ask(sql, body=body, headers={"Content-Encoding": coding}).status == 200
    assert text(ask(f"SELECT count(), sum(a) FROM {table}")) == f"100000\t{99_999 * 50_000}\n"


@pytest.mark.parametrize("method", ["LZ4", "ZSTD"])
def test_clickhouse_frames_are_read_and_written(ask: Ask, table: str, method: str) -> None:
    writer = FrameWriter(method)
    body = b"".join(writer.feed(CSV[at : at + 70_000]) for at in range(0, len(CSV), 70_000))
    assert ask(f"INSERT INTO {table} FORMAT CSV", body=body, decompress="1").status == 200
    sql = f"SELECT a, s FROM {table} ORDER BY a FORMAT CSV"
    response = ask(sql, compress="1", network_compression_method=method)
    reader = FrameReader()
    assert b"".join(reader.feed(response.data)).replace(b'"', b"") == CSV
    reader.finish()


@pytest.mark.parametrize("body", [b"\0" * 60, b"x" * 100])
def test_broken_frames_are_refused(ask: Ask, table: str, body: bytes) -> None:
    response = ask(f"INSERT INTO {table} FORMAT CSV", body=body, decompress="1")
    assert response.headers["X-ClickHouse-Exception-Code"] == "271"
    truncated = gzip.compress(CSV)[:-100]
    sql = f"INSERT INTO {table} FORMAT CSV"
    response = ask(sql, body=truncated, headers={"Content-Encoding": "gzip"})
    assert response.headers["X-ClickHouse-Exception-Code"] == "271"
    assert text(ask(f"SELECT count() FROM {table}")) == "0\n"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "lz4", "zstd", "br"])
@pytest.mark.parametrize("rows", [3, 300_000])
def test_responses_are_compressed_when_the_client_asks(ask: Ask, coding: str, rows: int) -> None:
    decompress: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        "lz4": lz4.frame.decompress,
        "zstd": zstd.decompress,
        "br": lambda data: bytes(cramjam.brotli.decompress(data)),
    }
    sql = f"SELECT number FROM numbers({rows})"
    headers = {"Accept-Encoding": f"unknown, {coding};q=0.5"}
    response = ask(sql, headers=headers, enable_http_compression="1")
    assert response.headers["Content-Encoding"] == coding
    assert decompress[coding](response.data).count(b"\n") == rows
    assert "Content-Encoding" not in ask(sql, headers=headers).headers


def test_curl_uploads_and_downloads(sql_server: str, table: str, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on PATH")
    rows = tmp_path / "rows.csv"
    rows.write_bytes(CSV)  # more than a megabyte: curl waits for "100 Continue"

    def run(*arguments: str) -> str:
        command = [curl, "-sS", "--fail-with-body", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    run(f"{sql_server}/?query=INSERT+INTO+{table}+FORMAT+CSV", "--data-binary", f"@{rows}")
    assert run(sql_server, "-d", f"SELECT count() FROM {table}") == "100000\n"
    assert run("-G", sql_server, "--data-urlencode", "query=SELECT 1 + 1") == "2\n"
    compressed = f"{sql_server}/?enable_http_compression=1&query=SELECT+a+FROM+{table}+ORDER+BY+a"
    assert run("--compressed", compressed).count("\n") == 100_000
