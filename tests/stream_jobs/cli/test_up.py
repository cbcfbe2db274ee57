"""`tokentide up` says whether everything works when it begins and when it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.prepared import Prepared
from tokentide_jobs.cli import stack
from tokentide_jobs.cli.main import main
from tokentide_jobs.cli.screen import console
from tokentide_jobs.cli.status import StatusLine
from tokentide_jobs.cli.stop_signals import StopRequested
from tokentide_jobs.core.status import Status, WorkerState
from tokentide_jobs.embedded.stack.discovery import StackInfo
from tokentide_jobs.embedded.stack.stack import Stack

pytestmark = pytest.mark.integration

VERDICT = re.compile(r"(ok|attention|bad)  ")


def test_up_says_its_verdict_when_it_begins_and_when_it_ends(
    tmp_path: Path, prepared: Prepared
) -> None:
    environ = {name: value for name, value in os.environ.items() if "TOKENTIDE" not in name}
    command = [
        sys.executable, "-m", "tokentide_jobs", "up", "--broker", "tansu", "--kafka-port", "0",
        "--clickhouse-port", "0", "--data-dir", str(prepared(tmp_path)), "--no-detect",
    ]  # fmt: skip
    printed: list[str] = []
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environ
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                printed.append(line.rstrip())
                if VERDICT.match(line) and len(list(filter(VERDICT.match, printed))) == 1:
                    time.sleep(0.5)  # it has begun to wait
                    process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    verdicts = list(filter(VERDICT.match, printed))
    assert verdicts == ["ok  0 records wait, no batch yet"] * 2, printed
    reads, ready = (
        next(place for place, line in enumerate(printed) if words in line)
        for words in ("1 ingest worker reads", "ready in ")
    )
    assert reads < ready, printed
    assert any(re.match(r"  boards +http://127\.0\.0\.1:\d+  ", line) for line in printed), printed


@pytest.mark.parametrize(
    ("options", "has_detect"),
    [
        ([], True),
        (["--workers", "0"], False),
        (["--workers", "0", "--detect"], True),
        (["--workers", "2", "--no-detect"], False),
    ],
)
def test_up_without_ingest_workers_starts_a_detect_worker_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], has_detect: bool
) -> None:
    made = []

    def interrupted(stack: Stack) -> StackInfo:
        made.append(stack._has_detect)
        raise StopRequested

    monkeypatch.setattr(Stack, "start", interrupted)
    assert main(["up", "--data-dir", str(tmp_path), *options]) == 0
    assert made == [has_detect]


@pytest.mark.parametrize(
    ("options", "is_free", "port"),
    [
        ([], True, 8080),
        ([], False, 0),
        (["--viewer-port", "8081"], False, 8081),
        (["--no-viewer"], True, None),
    ],
)
def test_up_serves_the_boards_on_their_usual_port_or_where_others_have_it_on_any(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    is_free: bool,
    port: int | None,
) -> None:
    made = []

    def interrupted(stack: Stack) -> StackInfo:
        made.append(stack._viewer_port)
        raise StopRequested

    monkeypatch.setattr(Stack, "start", interrupted)
    monkeypatch.setattr(stack, "is_free", lambda _port: is_free)
    assert main(["up", "--data-dir", str(tmp_path), *options]) == 0
    assert made == [port]


def test_up_that_is_ended_while_it_starts_gives_no_verdict_on_services_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_stack: Stack) -> StackInfo:
        raise StopRequested

    monkeypatch.setattr(Stack, "start", interrupted)
    assert main(["up", "--broker", "tansu", "--data-dir", str(tmp_path)]) == 0
    printed = capfd.readouterr().err
    assert printed.startswith("stopping …"), printed


def test_up_says_once_when_the_pipeline_becomes_bad_and_once_when_it_no_longer_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    working = Status(log_end=0, workers=(WorkerState("1", True),), group_members=1)
    away = replace(working, kafka_problem="Kafka does not answer")
    looks: Iterator[Status | Exception] = iter([working, away, OSError("no"), away, working])
    ends = iter([False] * 5 + [True])

    def look(_line: StatusLine) -> Status:
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    info = StackInfo(
        kafka="127.0.0.1:1", clickhouse_url="http://127.0.0.1:2", user="default", password="",
        events_topic="events", pid=1, broker="kafka", log_id="an-id", data_dir=str(tmp_path),
    )  # fmt: skip
    monkeypatch.setattr(Stack, "start", lambda _stack: info)
    monkeypatch.setattr(Stack, "wait", lambda _stack, _timeout_s: next(ends))
    monkeypatch.setattr(stack, "_wait_for_workers", lambda *_how: "")
    monkeypatch.setattr(stack, "read_settings_status", lambda _settings: working)
    monkeypatch.setattr(StatusLine, "read", look)
    assert main(["up", "--data-dir", str(tmp_path)]) == 0
    printed = [line for line in capfd.readouterr().err.splitlines() if re.match(r"\d\d:", line)]
    assert [re.sub(r"^[\d:]{8}", "", line) for line in printed] == [
        "  bad  Kafka does not answer",
        "  ok  how many records wait is unknown; it was bad for 0.0 s",
    ]


def test_up_does_not_wait_for_ever_for_workers_and_says_which_do_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = (WorkerState("1", True), WorkerState("2", False, ("waiting for partitions",), True))
    monkeypatch.setattr(stack, "ask_workers", lambda _directory, _urls: states)
    assert stack._wait_for_workers(console(to_stderr=True), tmp_path, 1) == ""
    monkeypatch.setattr(stack, "_SETTLE_S", 0.0)
    printed = stack._wait_for_workers(console(to_stderr=True), tmp_path, 3)
    assert printed.startswith("2 ingest workers are still starting: `")
    assert printed.endswith("status` says what holds them up")
