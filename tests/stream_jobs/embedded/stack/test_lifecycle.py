"""The stack as one process tree: started whole, owned by one process, ended whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_connect
import psutil
import pytest
from aiokafka import AIOKafkaProducer

from tests.commands import command
from tests.prepared import Prepared
from tokentide_jobs.embedded.kafka.broker import BrokerKind
from tokentide_jobs.embedded.processes.child import ChildRecord
from tokentide_jobs.embedded.processes.locks import LOCK_FILE_NAME, holder_pid
from tokentide_jobs.embedded.stack.discovery import find_stack
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.embedded.stack.unread import unread_records
from tokentide_jobs.errors import StackError
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.stack_file import STACK_FILE_NAME

pytestmark = pytest.mark.integration

BROKERS: tuple[BrokerKind, ...] = ("kafka", "tansu")
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


class Notes:
    """A reporter that remembers what was worth a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, what: str) -> None:
        pass

    def done(self, what: str, took_s: float) -> None:
        pass

    def note(self, text: str) -> None:
        self.lines.append(text)


def eventually(claim: Callable[[], bool], within_s: float = 60.0) -> bool:
    give_up_at = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.05)
    return True


def children_of(data_dir: Path) -> dict[str, ChildRecord]:
    noted = json.loads((data_dir / LOCK_FILE_NAME).read_text())["children"]
    return {child["name"]: ChildRecord(**child) for child in noted}


def children_now() -> set[int]:
    """Pids of the live child processes of this one, noted in the lock file or not."""
    alive = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                alive.add(child.pid)
    return alive


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run `tokentide up --json` on `tmp_path`; whatever is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        where = ["--data-dir", str(tmp_path), "--workers", "0"]
        ports = ["--kafka-port", "0", "--clickhouse-port", "0"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tokentide_jobs", "up", "--json", *where, *ports, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ready_line(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    ready = json.loads(line)
    assert isinstance(ready, dict)
    return ready


@pytest.mark.parametrize("kind", BROKERS)
def test_a_stack_in_process_is_found_while_it_runs_and_not_after(
    tmp_path: Path, kind: BrokerKind
) -> None:
    with Stack(tmp_path, broker=kind, clickhouse=False) as stack:
        assert find_stack(tmp_path) == stack.info
        assert stack.info.pid == os.getpid()
        assert stack.info.broker == kind
        records = children_of(tmp_path)
        assert records[kind].is_alive()
        assert not stack.wait(timeout_s=0.0)

    assert find_stack(tmp_path) is None
    assert holder_pid(tmp_path) is None
    assert not records[kind].is_alive()


def test_up_prints_one_line_kill_9_leaves_no_orphan_and_the_next_start_ends_with_code_0(
    tmp_path: Path, start_up: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start_up("--broker", "kafka")
    before = ready_line(process)
    assert (before["pid"], before["broker"]) == (process.pid, "kafka")
    info = find_stack(tmp_path)
    assert info is not None
    assert json.loads(info.to_json()) == before
    children = children_of(tmp_path)
    assert set(children) == {"kafka", "clickhouse", "viewer"}

    process.kill()
    assert process.communicate()[0] == "", "more than one line"

    assert eventually(lambda: not any(child.is_alive() for child in children.values()))
    assert (tmp_path / STACK_FILE_NAME).exists(), "the dead owner could not remove it"
    assert find_stack(tmp_path) is None, "and it is not trusted"

    again = start_up("--broker", "kafka")
    after = ready_line(again)
    assert after["log_id"] == before["log_id"]
    assert after["kafka"] != before["kafka"]
    children = children_of(tmp_path)
    again.send_signal(signal.SIGTERM)
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert output == ""
    assert not any(child.is_alive() for child in children.values())
    assert not (tmp_path / STACK_FILE_NAME).exists()


def test_down_stops_the_stack_of_a_directory_and_is_content_with_none(
    tmp_path: Path, prepared: Prepared, start_up: Callable[..., subprocess.Popen[str]]
) -> None:
    prepared(tmp_path)
    process = start_up("--broker", "tansu")
    ready_line(process)

    for words in (f"process {process.pid}", "no stack runs"):
        done = command("down", "--data-dir", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert words in done.stderr

    process.communicate(timeout=120)
    assert process.returncode == 0


def test_a_second_owner_is_refused_by_pid_and_harms_nothing(tmp_path: Path) -> None:
    with Stack(tmp_path, broker="tansu", clickhouse=False) as stack:
        with pytest.raises(StackError, match=f"in use by process {os.getpid()}"):
            Stack(tmp_path, broker="tansu", clickhouse=False).start()

        assert find_stack(tmp_path) == stack.info


@pytest.mark.parametrize("option", ["--kafka-port", "--clickhouse-port"])
def test_a_taken_port_is_refused_with_its_holder_before_anything_starts(
    tmp_path: Path, option: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ports = {"kafka_port" if "kafka" in option else "clickhouse_port": port}
        holder = psutil.Process().name()

        with pytest.raises(StackError, match=rf"port {port} \({option}\) is taken by {holder}"):
            Stack(tmp_path, broker="tansu", **ports).start()

    assert not (tmp_path / "logs").exists()
    assert holder_pid(tmp_path) is None


def test_a_worker_that_dies_is_started_again(tmp_path: Path, prepared: Prepared) -> None:
    prepared(tmp_path)
    notes = Notes()
    stack = Stack(tmp_path, broker="tansu", workers=2, worker_command=SLEEPER, reporter=notes)
    with stack:
        first = children_of(tmp_path)
        os.kill(first["worker-1"].pid, signal.SIGKILL)

        assert eventually(lambda: children_of(tmp_path)["worker-1"] != first["worker-1"])
        assert children_of(tmp_path)["worker-2"] == first["worker-2"]
        assert any("worker-1 ended (signal 9)" in line for line in notes.lines)
        last = children_of(tmp_path)

    assert not any(child.is_alive() for child in last.values())


def test_kafka_and_clickhouse_come_back_on_their_ports_when_they_are_killed(
    tmp_path: Path, prepared: Prepared
) -> None:
    prepared(tmp_path)
    others = children_now()  # servers that the session's tests share
    with Stack(tmp_path, broker="kafka") as stack:
        first = children_of(tmp_path)
        for name in ("kafka", "clickhouse"):
            os.kill(first[name].pid, signal.SIGKILL)
        # What is brought back is killed before it serves: a start that fails ends nothing.
        killed: set[int] = {record.pid for record in first.values()} | others
        for _name in first:
            assert eventually(lambda: bool(children_now() - killed))
            for pid in children_now() - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)

        assert eventually(
            lambda: all(children_of(tmp_path)[name] != first[name] for name in first), 60.0
        )
        assert not stack.wait(timeout_s=0.0)
        client = clickhouse_connect.get_client(dsn=stack.info.clickhouse_dsn)
        assert client.query("SELECT count() FROM tokentide.raw_requests").first_row == (0,)
        client.close()
        host, _colon, port = stack.info.kafka.partition(":")
        socket.create_connection((host, int(port)), 5).close()


def test_the_end_of_a_broker_in_memory_ends_the_stack_loudly(tmp_path: Path) -> None:
    with Stack(tmp_path, broker="tansu", clickhouse=False) as stack:
        os.kill(children_of(tmp_path)["tansu"].pid, signal.SIGKILL)

        with pytest.raises(StackError, match="its log, which it kept in memory, is gone"):
            stack.wait(timeout_s=10.0)


def test_a_stop_says_how_many_records_end_unread_with_a_broker_in_memory(
    tmp_path: Path, prepared: Prepared
) -> None:
    prepared(tmp_path)

    async def send(bootstrap: str, topic: str) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        for _ in range(3):
            await producer.send_and_wait(topic, b"{}")
        await producer.stop()

    notes = Notes()
    with Stack(tmp_path, broker="tansu", reporter=notes) as stack:
        asyncio.run(send(stack.info.kafka, stack.info.events_topic))

    assert [line for line in notes.lines if "3 records of tokentide.events.v1" in line]


def test_a_log_that_was_begun_anew_is_known_to_be_read_when_the_stack_stops(
    tmp_path: Path, prepared: Prepared
) -> None:
    prepared(tmp_path)

    async def send(bootstrap: str, topic: str) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        await producer.send_and_wait(topic, b"{}")
        await producer.stop()

    notes = Notes()
    environ = {**os.environ, "TOKENTIDE_LOG_ID": "second"}
    with Stack(tmp_path, broker="tansu", workers=1, environ=environ, reporter=notes) as stack:
        asyncio.run(send(stack.info.kafka, stack.info.events_topic))
        found = Settings.from_env({}, tmp_path)
        assert found.restarted_logs == {stack.info.events_topic: "second"}
        # A worker that was about to start may be ended before it reads: here it shall read.
        assert unread_records(stack.info, timeout_s=60.0) == 0

    assert not [line for line in notes.lines if "that no worker has read" in line]


def test_processes_of_a_killed_owner_are_ended_only_when_they_are_provably_ours(
    tmp_path: Path,
) -> None:
    orphan, stranger = (subprocess.Popen(SLEEPER) for _ in range(2))
    try:
        ours = ChildRecord("tansu", orphan.pid, psutil.Process(orphan.pid).create_time())
        recycled = ChildRecord("kafka", stranger.pid, 1.0)
        noted = [
            {"name": child.name, "pid": child.pid, "started_s": child.started_s}
            for child in (ours, recycled)
        ]
        (tmp_path / LOCK_FILE_NAME).write_text(json.dumps({"pid": 1, "children": noted}))
        notes = Notes()

        with Stack(tmp_path, broker="tansu", clickhouse=False, reporter=notes):
            assert orphan.wait(5) == -signal.SIGTERM
            assert stranger.poll() is None
            assert [f"pid {orphan.pid}" in line for line in notes.lines] == [True]
    finally:
        for process in (orphan, stranger):
            process.kill()
            process.wait()


def test_a_disk_that_is_nearly_full_is_refused_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1, 1, 2**20))

    with pytest.raises(StackError, match="only 1 MiB are free"):
        Stack(tmp_path, broker="tansu", clickhouse=False).start()
