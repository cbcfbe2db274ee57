"""Parts of the embedded stack that need no process: pauses, locks, discovery, Kafka's settings."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import cast

import pytest

from tests.each import each
from tokentide_jobs.embedded.artifacts.cache import default_cache_dir
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.embedded.kafka.properties import java_environment, server_properties
from tokentide_jobs.embedded.processes.child import ChildProcess, ChildRecord, process_started_s
from tokentide_jobs.embedded.processes.locks import LOCK_FILE_NAME, DataDirLock, holder_pid
from tokentide_jobs.embedded.processes.ports import choose_port, is_free, port_holder
from tokentide_jobs.embedded.processes.restart import RestartSchedule
from tokentide_jobs.embedded.stack.discovery import StackInfo, find_stack, publish
from tokentide_jobs.embedded.stack.insert_probe import insert_problem
from tokentide_jobs.embedded.stack.stack import Stack, worker_environment
from tokentide_jobs.errors import ConfigError, RetriableSinkError, StackError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import SinkMisconfigured
from tokentide_jobs.settings.stack_file import STACK_FILE_NAME


def info(data_dir: Path) -> StackInfo:
    return StackInfo(
        kafka="127.0.0.1:1",
        clickhouse_url="http://127.0.0.1:2",
        user="default",
        password="p:w",
        events_topic="events",
        pid=os.getpid(),
        broker="kafka",
        log_id="an-id",
        data_dir=str(data_dir),
    )


def test_pauses_between_restarts_double_up_to_a_ceiling() -> None:
    schedule, pauses = RestartSchedule(), []
    now_s = 0.0
    for _death in range(9):
        schedule.started(now_s)
        pauses.append(schedule.died(now_s + 0.1))
        now_s += 0.1 + pauses[-1]

    assert pauses[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert pauses[-1] == 15.0


def test_a_process_that_ran_well_comes_back_after_the_shortest_pause() -> None:
    schedule = RestartSchedule()
    for now_s in (0.0, 1.0, 2.0):
        schedule.started(now_s)
        schedule.died(now_s + 0.1)
    schedule.started(10.0)

    assert schedule.died(15.0) == pytest.approx(0.2)


def test_asking_again_about_one_death_counts_down_and_does_not_count_twice() -> None:
    schedule = RestartSchedule()
    schedule.started(0.0)

    assert schedule.died(1.0) == pytest.approx(0.2)
    assert schedule.died(1.15) == pytest.approx(0.05)
    assert schedule.died(1.3) == 0.0
    assert schedule.is_waiting
    schedule.started(1.3)
    assert not schedule.is_waiting


def test_a_lock_is_held_once_and_can_be_taken_again_after_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokentide_jobs.embedded.processes.locks._LOCK_TIMEOUT_S", 0.05)
    lock = DataDirLock(tmp_path)
    assert lock.acquire() == []
    assert holder_pid(tmp_path) == os.getpid()
    with pytest.raises(StackError, match=f"process {os.getpid()}"):
        DataDirLock(tmp_path).acquire()

    lock.release()
    lock.release()
    assert holder_pid(tmp_path) is None
    second = DataDirLock(tmp_path)
    second.acquire()
    second.release()


def test_a_shorter_note_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path)
    lock.acquire()
    lock.note([ChildRecord(f"child-{number}", number, 1.5) for number in range(50)])
    lock.note([])

    assert json.loads((tmp_path / LOCK_FILE_NAME).read_text()) == {
        "pid": os.getpid(),
        "children": [],
    }
    lock.release()


def test_a_stack_file_is_believed_only_while_its_writer_holds_the_lock(tmp_path: Path) -> None:
    publish(tmp_path, info(tmp_path))
    assert find_stack(tmp_path) is None

    lock = DataDirLock(tmp_path)
    lock.acquire()
    assert find_stack(tmp_path) == info(tmp_path)
    lock.release()
    assert find_stack(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kafka": "127.0.0.1:1"}'])
def test_a_stack_file_that_makes_no_sense_is_no_stack(tmp_path: Path, text: str) -> None:
    (tmp_path / STACK_FILE_NAME).write_text(text)

    assert find_stack(tmp_path) is None
    assert find_stack(tmp_path / "absent") is None


def test_a_free_port_is_taken_as_it_is_and_a_busy_one_is_refused_with_its_holder() -> None:
    port = choose_port(0, "--some-port")
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert f"(pid {os.getpid()})" in str(port_holder(port))
        with pytest.raises(StackError, match=f"--some-port.*pid {os.getpid()}"):
            choose_port(port, "--some-port")

    assert choose_port(port, "--some-port") == port
    assert is_free(choose_port(0, "--some-port"))


def test_a_port_is_none_that_a_client_may_take_before_a_server_is_started_again() -> None:
    given_to_clients = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(given_to_clients.read_text().split()[0]) if given_to_clients.exists() else 49_152
    if first < 32_768:
        pytest.skip(f"clients of this machine may take any port from {first} on")
    chosen = {choose_port(0, "--some-port") for _ in range(20)}
    assert max(chosen) < first
    assert len(chosen) > 15, "two stacks that start at once choose the same"


def test_kafka_listens_on_the_loopback_interface_only() -> None:
    lines = server_properties(1111, 2222).splitlines()
    settings = dict(line.split("=", 1) for line in lines)

    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1111"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:2222"
    assert {value for name, value in settings.items() if name.endswith(("num.partitions",))} == {
        "1"
    }


def test_java_options_of_the_user_do_not_reach_kafka() -> None:
    kept = java_environment({"JAVA_TOOL_OPTIONS": "-Xmx16m", "CLASSPATH": "x", "HOME": "/home/me"})

    assert "JAVA_TOOL_OPTIONS" not in kept
    assert "CLASSPATH" not in kept
    assert kept["HOME"] == "/home/me"


def test_workers_are_given_all_addresses(tmp_path: Path) -> None:
    assert worker_environment(info(tmp_path)) == {
        "TOKENTIDE_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "TOKENTIDE_CLICKHOUSE_URL": "http://default:p%3Aw@127.0.0.1:2",
        "TOKENTIDE_EVENTS_TOPIC": "events",
        "TOKENTIDE_DATA_DIR": str(tmp_path),
        "_TOKENTIDE_STACK_FILE": str(tmp_path / STACK_FILE_NAME),
        "TOKENTIDE_HTTP_PORT": "0",
    }


def test_the_cache_follows_the_xdg_convention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "tokentide"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "tokentide"


def test_an_unknown_broker_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'redpanda'"):
        choose_broker("redpanda", tmp_path)  # type: ignore[arg-type]


def test_workers_without_clickhouse_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="workers need ClickHouse"):
        Stack(tmp_path, clickhouse=False, workers=1)


def test_a_stack_that_is_not_running_has_no_addresses(tmp_path: Path) -> None:
    stack = Stack(tmp_path)

    for ask in (lambda: stack.info, lambda: stack.broker, stack.wait):
        with pytest.raises(StackError, match="not running"):
            ask()


def test_a_process_is_recognised_by_pid_and_start_time() -> None:
    started_s = process_started_s(os.getpid())
    assert started_s is not None

    assert ChildRecord("me", os.getpid(), started_s).is_alive()
    assert not ChildRecord("recycled", os.getpid(), started_s - 1.0).is_alive()


@pytest.mark.integration
def test_a_child_says_how_it_ended_and_what_it_wrote_in_this_run(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    log.write_text("from an earlier run\n")
    child = ChildProcess("child", ["/bin/sh", "-c", "echo this run; exit 3"], log_path=log)
    assert child.exit_code is None

    child.start()
    assert child.wait(5.0) == 3
    assert child.record() is None
    assert child.log_tail() == "this run"


class Store:
    """A ClickHouse that refuses inserts with a code, and takes what makes the table."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.taken: list[str] = []

    def command(self, statement: str) -> None:
        if self._error is not None and statement.startswith("INSERT"):
            raise self._error
        self.taken.append(statement)


@each(
    ("error", "problem"),
    [
        (None, ""),
        (SinkMisconfigured("the table is gone", 60), "the table is gone"),
        (SinkMisconfigured("a reply of no known form", None), "a reply of no known"),
        (RetriableSinkError("no answer", None), "no answer"),
        (RetriableSinkError("too slow", 159), ""),
        (RetriableSinkError("too many queries", 202), ""),
        (RetriableSinkError("memory", 241), ""),
        (RetriableSinkError("the disk is full", 243), ""),
        (RetriableSinkError("too many parts", 252), ""),
    ],
)
def test_a_store_that_is_busy_or_full_works_and_one_that_cannot_insert_does_not(
    error: Exception | None, problem: str
) -> None:
    store = Store(error)
    found = insert_problem(cast(ClickHouse, store))
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
    assert any(statement.startswith("INSERT") for statement in store.taken) == (error is None)
