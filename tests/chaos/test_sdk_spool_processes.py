"""The disk spool through exits, kills and forks of processes."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL

import orjson
import pytest

from tests.producers.sdk_script import Script

pytestmark = pytest.mark.integration


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


AWAY = """
import os, signal, sys, time, tokentide
telemetry = tokentide.Telemetry(bootstrap="127.0.0.1:1", exit_timeout_s=5, linger_ms=5)

def emit(count=1000):
    for n in range(count):
        telemetry.emit({"type": "request", "tenant": "away", "n": n})

def wait_for_outage():
    while not telemetry.stats().retries:
        time.sleep(0.005)
"""
HEIR = """
deadline = time.monotonic() + 60
telemetry.emit({"type": "request", "tenant": "heir", "n": 0})
while os.listdir(os.environ["TOKENTIDE_SPOOL_DIR"]):
    assert time.monotonic() < deadline
    time.sleep(0.005)
"""


def test_exit_with_a_full_queue_and_no_broker_keeps_everything(
    script: Script, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    stderr = script.run(
        "wait_for_outage() if emit(10_000) else None", prelude=AWAY, spool_dir=spool
    )
    assert "10000 events on the disk" in stderr or "10001 events on the disk" in stderr
    assert "not delivered" not in stderr
    script.run(HEIR, spool_dir=spool)
    found = script.numbers_by_tenant()
    assert found["away"] == list(range(10_000))


def test_a_process_killed_during_an_outage_loses_nothing_it_had_on_disk(
    script: Script, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    script.run(
        """
        emit()
        while telemetry.stats().spooled < 1000:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        prelude=AWAY,
        exit_code=-SIGKILL,
        spool_dir=spool,
    )
    script.run(HEIR, spool_dir=spool)
    assert script.numbers_by_tenant()["away"] == list(range(1000))


def test_a_forked_child_has_a_spool_of_its_own_and_leaves_its_parent_s_alone(
    script: Script, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    stderr = script.run(
        """
        emit()
        while telemetry.stats().spooled < 1000:
            time.sleep(0.005)
        pid = os.fork()
        if pid == 0:
            for n in range(500):
                telemetry.emit({"type": "request", "tenant": "child", "n": n})
            while telemetry.stats().spooled < 500:
                time.sleep(0.005)
            assert telemetry.stats().adopted == 0
            assert len(os.listdir(os.environ["TOKENTIDE_SPOOL_DIR"])) == 2
            telemetry.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert telemetry.stats().spooled == 1000
        """,
        prelude=AWAY,
        spool_dir=spool,
    )
    assert "events on the disk" in stderr
    script.run(HEIR, spool_dir=spool)
    found = script.numbers_by_tenant()
    assert found["away"] == list(range(1000))
    assert found["child"] == list(range(500))


def test_several_processes_share_a_directory(script: Script, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    script.run(
        """
        for child in range(3):
            if os.fork() == 0:
                for n in range(300):
                    telemetry.emit({"type": "request", "tenant": f"child-{child}", "n": n})
                wait_for_outage()
                telemetry.close(5)
                os._exit(0)
        for child in range(3):
            assert os.wait()[1] == 0
        """,
        prelude=AWAY,
        spool_dir=spool,
    )
    script.run(HEIR, spool_dir=spool)
    found = script.numbers_by_tenant()
    assert {name: found.get(name) for name in ("child-0", "child-1", "child-2")} == {
        f"child-{n}": list(range(300)) for n in range(3)
    }
    stats = [
        event
        for event in map(orjson.loads, script.out.read_bytes().splitlines())
        if event["type"] == "stats" and event["emitted"] == 300
    ]
    assert len(stats) == 3, "their last words were kept too"
