"""Starting, stopping, crashing and restarting the embedded ClickHouse."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import clickhouse_connect
import psutil
import pytest
import urllib3

from tests.stream_jobs.embedded.clickhouse.patient_request import request
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.errors import StackError

pytestmark = pytest.mark.integration

TOKEN = {
    "async_insert": 0,
    "insert_deduplication_token": "facts/0-2",
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}


def sql(server: ClickHouseProcess, text: str) -> str:
    response = request(
        "POST", server.url, body=text.encode(), headers={"X-ClickHouse-Key": server.password}
    )
    assert response.status == 200, response.data
    return response.data.decode().strip()


def create(server: ClickHouseProcess) -> None:
    window = "SETTINGS non_replicated_deduplication_window = 100"
    for statement in (
        "CREATE DATABASE tide",
        f"CREATE TABLE tide.facts (a UInt64) ENGINE = MergeTree ORDER BY a {window}",
        f"CREATE TABLE tide.counts (n UInt64) ENGINE = MergeTree ORDER BY n {window}",
        "CREATE MATERIALIZED VIEW tide.mv TO tide.counts AS SELECT count() AS n FROM tide.facts",
        "CREATE FUNCTION double_it AS x -> x * 2",
    ):
        sql(server, statement)


def insert(server: ClickHouseProcess) -> None:
    with clickhouse_connect.get_client(dsn=server.dsn, database="tide") as client:
        client.insert("facts", [[1], [2]], column_names=["a"], settings=TOKEN)


def state(server: ClickHouseProcess) -> tuple[str, str, str]:
    return (
        sql(server, "SELECT count(), sum(a) FROM tide.facts"),
        sql(server, "SELECT sum(n) FROM tide.counts"),
        sql(server, "SELECT double_it(21)"),
    )


EXPECTED = ("2\t3", "2", "42")


def test_everything_survives_a_clean_restart_and_a_crash(tmp_path: Path) -> None:
    with ClickHouseProcess.start(tmp_path) as server:
        create(server)
        insert(server)
        assert state(server) == EXPECTED
    assert not server.is_running
    with ClickHouseProcess.start(tmp_path) as server:
        insert(server)  # the deduplication window is remembered
        assert state(server) == EXPECTED
        server.kill()
    for _ in range(2):
        server = ClickHouseProcess.start(tmp_path)
        insert(server)
        assert state(server) == EXPECTED
        os.kill(server.pid, signal.SIGKILL)
        server.stop()


def test_a_data_directory_in_use_is_refused_and_its_owner_named(tmp_path: Path) -> None:
    with ClickHouseProcess.start(tmp_path) as server:
        with pytest.raises(StackError, match=rf"{tmp_path} is in use by process {server.pid}"):
            ClickHouseProcess.start(tmp_path)
        assert sql(server, "SELECT 1") == "1"


def test_a_taken_port_is_refused_and_its_owner_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StackError, match=rf"port {port} on 127.0.0.1 is taken by process"
        ) as no:
            ClickHouseProcess.start(tmp_path, port)
    assert f"process {os.getpid()} " in str(no.value)
    with ClickHouseProcess.start(tmp_path, port) as server:
        assert server.url == f"http://127.0.0.1:{port}"


def test_a_signal_stops_it_cleanly_even_amid_a_query(tmp_path: Path) -> None:
    server = ClickHouseProcess.start(tmp_path)
    answers: list[int] = []

    def ask() -> None:
        body = b"SELECT sum(sipHash64(number)) FROM numbers_mt(1000000000000)"
        try:
            key = {"X-ClickHouse-Key": server.password}
            response = request("POST", server.url, body=body, headers=key, retries=False)
            answers.append(response.status)
        except urllib3.exceptions.HTTPError:
            answers.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + 60
    while sql(server, "SELECT count() FROM system.processes") != "2":
        assert time.monotonic() < deadline
    os.kill(server.pid, signal.SIGTERM)
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 60
    thread.join()
    assert answers in ([0], [500])


def test_a_wrong_option_ends_with_code_2_and_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "absent.json"
    with pytest.raises(StackError, match="exit code 2") as refused:
        ClickHouseProcess.start(tmp_path / "data", options=["--users-file", str(missing)])
    assert str(missing) in str(refused.value)


def test_it_prints_where_it_listens_on_data_of_any_name_and_control_c_ends_it(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tokentide_jobs.embedded.clickhouse"]
    command += ["--data-dir", str(tmp_path / "odd ?name & 100% <ü>"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())
        asked = {"X-ClickHouse-User": "analyst"}
        answer = request("POST", ready["url"], body=b"SELECT 1", headers=asked)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
    assert ready["pid"] == child.pid
    assert ready["url"].startswith("http://127.0.0.1:")
    assert answer.data == b"1\n"


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess\n"
        "server = ClickHouseProcess.start(pathlib.Path(sys.argv[1]))\n"
        "print(server.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    owner = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert owner.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(owner.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ClickHouseProcess.start(tmp_path).stop()
