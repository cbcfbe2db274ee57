"""What one client sends or asks for does not take the endpoint from the others."""

from __future__ import annotations

import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import IncompleteRead
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
import urllib3
from backports import zstd

from tests.sampling import IS_THOROUGH, share
from tests.stream_jobs.embedded.clickhouse.patient_request import ANSWER_S, request
from tokentide_jobs.embedded.clickhouse.access.statement_limits import (
    READER_LIMITS,
    WRITER_LIMITS,
    StatementLimits,
)
from tokentide_jobs.embedded.clickhouse.endpoint import MAX_REQUESTS
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.embedded.clickhouse.wire.framing import FrameReader
from tokentide_jobs.errors import ConfigError, StackError

pytestmark = pytest.mark.integration

BODY_TIMEOUT_S = 5.0
READER = {"X-ClickHouse-User": "analyst"}
FORMATS = ["JSON", "TSV", "Parquet"]
ERROR_BYTES = 4096
"""No error that ends a result is longer."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bounds") / "d"


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[ClickHouseProcess]:
    options = ["--body-timeout-s", str(BODY_TIMEOUT_S), "--memory-mb", "400"]
    options += ["--max-result-mb", "150"]
    with ClickHouseProcess.start(data_dir, options=options) as found:
        yield found


def owner(server: ClickHouseProcess) -> dict[str, str]:
    return {"X-ClickHouse-User": "default", "X-ClickHouse-Key": server.password}


@pytest.mark.parametrize("limits", [READER_LIMITS, WRITER_LIMITS])
def test_a_statement_has_a_longest_length_and_a_largest_tree(
    server: ClickHouseProcess, limits: StatementLimits
) -> None:
    headers = READER if limits is READER_LIMITS else owner(server)

    def code(sql: bytes, *, in_url: bool = False) -> str:
        url = f"{server.url}/?{urlencode({'query': sql})}" if in_url else server.url
        body = None if in_url else sql
        answer = request("POST", url, body=body, headers=headers)
        return answer.headers.get("X-ClickHouse-Exception-Code", "")

    longest = b"SELECT 1".ljust(limits.size_bytes)
    for in_url in (False, True):
        assert code(longest, in_url=in_url) == ""
        assert code(longest + b" ", in_url=in_url) == "62"
    assert code(b"SELECT " + b"1," * 500_000 + b"1") == "62"
    # Three nodes each.
    selects = [b"SELECT 1"] * (READER_LIMITS.nodes // 3)
    assert code(b" UNION ALL ".join(selects[: len(selects) // 2])) == ""
    expected = "168" if limits is READER_LIMITS else ""
    assert code(b" UNION ALL ".join([*selects, b"SELECT 1"])) == expected


def test_a_body_that_unpacks_to_much_is_not_unpacked(server: ClickHouseProcess) -> None:
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    bomb = zstd.compress(b"SELECT " + b" " * 1_000_000_000, 1)
    headers = {**READER, "Content-Encoding": "zstd"}
    refused = request("POST", server.url, body=bomb, headers=headers)
    assert refused.headers["X-ClickHouse-Exception-Code"] == "62"
    assert process.memory_info().rss - before < 100_000_000
    for coding in ("br", "snappy"):
        headers = {**READER, "Content-Encoding": coding}
        unknown = request("POST", server.url, body=b"x", headers=headers)
        assert unknown.headers["X-ClickHouse-Exception-Code"] == "89"


def half_sent(
    stack: ExitStack, server: ClickHouseProcess, target: str, headers: dict[str, str], body: str
) -> socket.socket:
    """Send the beginning of a request, and leave the connection open."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    half = stack.enter_context(socket.create_connection((host, int(port)), ANSWER_S))
    all_headers = {"Host": f"{host}:{port}", "Content-Length": "1000", **headers}
    lines = [f"{name}: {value}\r\n" for name, value in all_headers.items()]
    half.sendall(f"POST {target} HTTP/1.1\r\n{''.join(lines)}\r\n{body}".encode())
    return half


INSERT_TARGET = "/?query=INSERT+INTO+t+FORMAT+CSV"
CREATE = "CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = Memory"


def test_half_sent_inserts_are_given_up(server: ClickHouseProcess) -> None:
    made = request("POST", server.url, body=CREATE, headers=owner(server))
    assert made.status == 200, made.data
    with ExitStack() as stack:
        halves = [half_sent(stack, server, INSERT_TARGET, owner(server), "1\n") for _ in range(80)]
        for half in halves:
            assert b"Code: 209" in half.recv(4096)
    stored = request("POST", server.url, body="SELECT count() FROM t", headers=READER)
    assert stored.data == b"0\n"


def test_half_sent_requests_take_no_place_of_others(tmp_path: Path) -> None:
    # It has more patience with bodies than a busy machine needs for what follows.
    options = ["--body-timeout-s", str(10 * ANSWER_S)]
    with ClickHouseProcess.start(tmp_path / "d", options=options) as server, ExitStack() as stack:
        made = request("POST", server.url, body=CREATE, headers=owner(server))
        assert made.status == 200, made.data
        # There are 32 threads for inserts: none of the eighty may take one.
        for _ in range(80):
            half_sent(stack, server, INSERT_TARGET, owner(server), "1\n")
        insert = "INSERT INTO t VALUES (2)"
        stored = request("POST", server.url, body=insert, headers=owner(server))
        assert stored.status == 200, stored.data

        for _ in range(MAX_REQUESTS):
            half_sent(stack, server, "/", READER, "SELECT 1")
        sql = b"SELECT 1"
        # If this takes the last place, a half that comes then is refused: another one follows it.
        while request("POST", server.url, body=sql, headers=READER).status == 200:
            half_sent(stack, server, "/", READER, "SELECT 1")
        refused = request("POST", server.url, body=sql, headers=READER)
        assert refused.headers["X-ClickHouse-Exception-Code"] == "202"
        answer = request("POST", server.url, body=sql, headers=owner(server))
        assert answer.data == b"1\n"


def test_results_of_all_requests_share_one_bound(server: ClickHouseProcess) -> None:
    process = psutil.Process(server.pid)
    peak = 0

    def ask(output_format: str) -> str:
        """Read a result to its end; returns the code of the error, which may come amid it."""
        nonlocal peak
        # 50 to 60 MB each, in blocks of 13 MB.
        sql = "SELECT repeat('x', 200) AS s FROM numbers(250000) SETTINGS max_threads = 1"
        url = f"{server.url}/?{urlencode({'query': f'{sql} FORMAT {output_format}'})}"
        response = pool.request("GET", url, headers=READER, preload_content=False)
        tail = b""
        try:
            while block := response.read(1 << 20):
                tail = (tail + block)[-ERROR_BYTES:]
                peak = max(peak, process.memory_info().rss)
        except urllib3.exceptions.ProtocolError as exc:
            cut = exc.args[1]
            assert isinstance(cut, IncompleteRead)
            found = re.search(rb"Code: (\d+)", (tail + cut.partial)[-ERROR_BYTES:])
            return found[1].decode() if found else "no code"
        finally:
            response.release_conn()
        return response.headers.get("X-ClickHouse-Exception-Code", "")

    with urllib3.PoolManager(maxsize=12) as pool, ThreadPoolExecutor(12) as threads:
        codes = list(threads.map(ask, FORMATS * (4 if IS_THOROUGH else 2)))
        # How many are refused for memory or space depends on which of them meet; none may make the
        # process grow without end, and once they have gone there is room for each again.
        assert set(codes) <= {"", "241", "243"}
        assert peak < 1_500_000_000  # with what earlier tests of this file left in the process
        give_up_s = time.monotonic() + ANSWER_S
        while refused := [name for name in FORMATS if ask(name)]:
            assert time.monotonic() < give_up_s, refused
    wait_for_no_result_files(Path(f"/proc/{server.pid}/cwd"))


def test_heavy_aggregations_at_once_share_the_memory_of_the_engine(
    server: ClickHouseProcess,
) -> None:
    # One takes 200 MB of the 280 that a query may have: all at once would take 5 GB.
    sql = (
        "SELECT count(), sum(n) FROM (SELECT toString(number) AS k, count() AS n "
        "FROM numbers(1500000) GROUP BY k) SETTINGS max_threads = 1"
    )

    def ask(_number: int) -> tuple[str, bytes]:
        answer = request("POST", server.url, body=sql, headers=READER)
        return answer.headers.get("X-ClickHouse-Exception-Code", ""), answer.data

    process, is_over, peak = psutil.Process(server.pid), threading.Event(), 0

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    with ThreadPoolExecutor(25) as threads:
        watching = threads.submit(watch)
        answers = list(threads.map(ask, range(24)))
        is_over.set()
        watching.result()
    for code, text in answers:
        assert code in {"", "202", "241"}, text
        if code == "241":
            assert b"memory limit exceeded" in text
        elif not code:
            assert text == b"1500000\t1500000\n"
    assert {code for code, _text in answers} >= {"241"}, "they fit: the test asks too little"
    assert peak < 1_500_000_000  # with what earlier tests of this file left in the process
    give_up_s = time.monotonic() + ANSWER_S
    while (last := ask(0)) != ("", b"1500000\t1500000\n"):
        assert time.monotonic() < give_up_s, last


def wait_for_no_result_files(home: Path) -> None:
    """Assert that a query whose result is refused removes its file when it ends."""
    give_up_s = time.monotonic() + ANSWER_S
    while left := list(home.glob("result-*")):
        assert time.monotonic() < give_up_s, left
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("sql", "parameters", "framed"),
    share(
        [
            (sql, parameters, framed)
            for sql, parameters in (
                ("SELECT number, toString(number) FROM system.numbers FORMAT XML", {}),
                ("SELECT number FROM system.numbers FORMAT CSV", {"wait_end_of_query": "1"}),
            )
            for framed in (False, True)
        ],
        3,  # each of both once
    ),
)
def test_a_result_that_waits_until_it_is_whole_has_a_longest_length(
    server: ClickHouseProcess, data_dir: Path, sql: str, parameters: dict[str, str], framed: bool
) -> None:
    framing = {"compress": "1"} if framed else {}
    url = f"{server.url}/?{urlencode(parameters | framing)}"
    answer = request("POST", url, body=sql.encode(), headers=READER)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "396"
    text = b"".join(FrameReader().feed(answer.data)) if framed else answer.data
    assert text.startswith(b"Code: 396. DB::Exception: Limit for result exceeded: what is held")
    assert b"JSONEachRow" in text
    wait_for_no_result_files(data_dir)
    url = f"{server.url}/?{urlencode({'query': 'SELECT 1'})}"
    assert request("GET", url, headers=READER).status == 200


def test_errors_name_no_place_on_the_machine(server: ClickHouseProcess) -> None:
    home = str(Path(f"/proc/{server.pid}/cwd").resolve())
    create = "CREATE TABLE IF NOT EXISTS e (a UInt8) ENGINE = MergeTree ORDER BY a"
    request("POST", server.url, body=create, headers=owner(server))
    for sql in (
        "INSERT INTO e FORMAT CSV\nnot a number",
        "INSERT INTO e FORMAT Parquet\nnonsense",
        "INSERT INTO e FORMAT NoSuchFormat\n1",
        "ATTACH TABLE no_such_table",
        "SELECT 1 FORMAT Template",
        "SELECT throwIf(1) FORMAT JSON",
        "SELECT * FROM nowhere.nothing",
    ):
        response = request("POST", server.url, body=sql.encode(), headers=owner(server))
        assert response.status >= 400, sql
        text = response.data.decode()
        assert home not in text, text
        assert str(Path(home).parent) not in text, text


def test_readers_are_read_only_in_the_engines_eyes(server: ClickHouseProcess) -> None:
    ask = "SELECT getSetting('readonly')"
    by_reader = request("POST", server.url, body=ask, headers=READER)
    assert by_reader.data == b"1\n"
    get = f"{server.url}/?{urlencode({'query': ask})}"
    assert request("GET", get, headers=owner(server)).data == b"2\n"
    assert request("POST", get, headers=owner(server)).data == b"0\n"


def test_what_is_stored_is_its_owners_alone(server: ClickHouseProcess) -> None:
    home = Path(f"/proc/{server.pid}/cwd").resolve()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
    for path in home.rglob("*"):
        if not path.is_symlink():
            assert not path.stat().st_mode & 0o077, path


def test_the_password_is_made_once_and_a_new_one_when_the_file_is_gone(tmp_path: Path) -> None:
    passwords = []
    for _ in range(2):
        with ClickHouseProcess.start(tmp_path / "data") as process:
            passwords.append(process.password)
            assert request("POST", process.url, body="SELECT 1").status == 403
            key = {"X-ClickHouse-Key": process.password}
            assert request("POST", process.url, body="SELECT 1", headers=key).status == 200
    assert passwords[0] == passwords[1]
    assert len(passwords[0]) >= 32
    (tmp_path / "data" / "password").unlink()
    with ClickHouseProcess.start(tmp_path / "data") as process:
        assert process.password not in passwords
    (tmp_path / "data" / "password").write_text("\n")
    with pytest.raises((ConfigError, StackError), match="it is empty; remove it"):
        ClickHouseProcess.start(tmp_path / "data")
