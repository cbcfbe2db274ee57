"""The disk spool inside the running producer: outages, exits, deaths and forks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from signal import SIGKILL

import orjson
import pytest

from tests.unit.sdk_script import Script
from tests.unit.test_sdk_telemetry import StuckSender, until
from tokentide import Telemetry
from tokentide.testing import CaptureSender


class Switch(CaptureSender):
    """A broker that is away until it is told to be there."""

    is_there = False

    async def connect(self) -> None:
        if not self.is_there:
            raise ConnectionError("away")
        await super().connect()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def emit(telemetry: Telemetry, count: int) -> None:
    for _ in range(count):
        telemetry.emit({"type": "request"})


def books(telemetry: Telemetry) -> int:
    """Events unaccounted for: some, for the moment in which they are encoded."""
    stats = telemetry.stats()
    ended = stats.delivered + stats.failed + stats.dropped_total
    return stats.emitted + stats.adopted - ended - stats.queued - stats.spooled


def seqs(sender: CaptureSender) -> list[int]:
    return [event["seq"] for event in sender.events if event["type"] == "request"]


def test_an_outage_goes_to_the_disk_and_comes_back_in_order(tmp_path: Path) -> None:
    sender = Switch()
    telemetry = Telemetry(
        sender=sender, spool_dir=str(tmp_path / "spool"), linger_ms=1, backlog_bytes=1024
    )
    emit(telemetry, 50)
    until(lambda: telemetry.stats().spooled == 50)
    for _ in range(20):
        emit(telemetry, 1000)
        until(lambda: telemetry.stats().queued == 0)
    stats = telemetry.stats()
    assert (stats.emitted, stats.spooled, stats.delivered, stats.dropped_total) == (
        20_050,
        20_050,
        0,
        0,
    )
    assert stats.spool_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.seg")), (
        "the bytes are those of the files"
    )
    assert telemetry.flush(0.01) is False, "on the disk is not delivered"
    sender.is_there = True
    assert telemetry.flush(30)
    emit(telemetry, 10)
    telemetry.close(5)
    assert seqs(sender) == list(range(20_060))
    stats = telemetry.stats()
    assert (stats.spooled, stats.spool_bytes, stats.adopted) == (0, 0, 0)
    assert stats.replayed >= 20_050
    assert stats.delivered == stats.emitted == 20_061
    assert list((tmp_path / "spool").iterdir()) == []
    last = next(e for e in reversed(sender.events) if e["type"] == "stats")
    assert int(last["tags"]["replayed"]) >= 20_050


def test_without_an_outage_nothing_touches_the_disk(tmp_path: Path) -> None:
    sender = CaptureSender()
    with Telemetry(sender=sender, spool_dir=str(tmp_path / "spool")) as telemetry:
        emit(telemetry, 1000)
        assert telemetry.flush(10)
    assert not (tmp_path / "spool").exists()


def test_a_full_spool_falls_back_to_memory_and_then_drops_and_counts(tmp_path: Path) -> None:
    sender = Switch()
    telemetry = Telemetry(
        sender=sender,
        spool_dir=str(tmp_path),
        spool_max_bytes=1 << 20,
        backlog_bytes=300_000,
        queue_events=1000,
        linger_ms=1,
    )
    while telemetry.stats().dropped_total < 1000 or telemetry.stats().spooled <= 500:
        telemetry.emit({"type": "request", "usage_raw": os.urandom(1000).hex()})
    until(lambda: books(telemetry) == 0)
    stats = telemetry.stats()
    assert stats.dropped == {"queue_full": stats.dropped_total}
    assert stats.spool_bytes <= 1 << 20
    assert stats.spooled > 500
    assert stats.queued > 500
    sender.is_there = True
    assert telemetry.flush(30)
    telemetry.close(5)
    stats = telemetry.stats()
    arrived = seqs(sender)
    assert arrived == sorted(set(arrived))
    assert len(arrived) + stats.dropped_total == stats.emitted - 1  # its own `stats` event
    assert stats.delivered + stats.dropped_total == stats.emitted


def test_closing_keeps_the_rest_and_the_next_producer_delivers_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Telemetry(sender=Switch(), spool_dir=str(tmp_path), linger_ms=1)
    emit(first, 700)
    until(lambda: first.stats().retries > 0)
    started_s = time.monotonic()
    first.close(30)
    assert time.monotonic() - started_s < 20, "on the disk there is nothing to wait for"
    stats = first.stats()
    assert (stats.queued, stats.dropped_total, stats.spooled) == (0, 0, 701)
    assert stats.emitted == 701
    assert "701 events on the disk" in caplog.text
    sender = CaptureSender()
    second = Telemetry(sender=sender, spool_dir=str(tmp_path))
    emit(second, 10)
    until(lambda: second.stats().replayed == 701)
    second.close(5)
    stats = second.stats()
    assert (stats.emitted, stats.adopted, stats.delivered) == (11, 701, 712)
    assert seqs(sender).count(0) == 2, "each producer has its own first event"
    by_producer = [f.producer_id for f in sender.frames if f.producer_id]
    assert set(by_producer) == {first.stats().producer_id}
    assert list(tmp_path.iterdir()) == []


def test_a_spool_that_can_not_be_used_changes_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "spool"
    sender = Switch()
    telemetry = Telemetry(sender=sender, spool_dir=str(directory / "x"), linger_ms=1)
    directory.write_text("in the way")
    emit(telemetry, 500)
    until(lambda: telemetry.stats().spool_errors > 0)
    sender.is_there = True
    assert telemetry.flush(10)
    telemetry.close(5)
    assert seqs(sender) == list(range(500))
    assert len([m for m in caplog.messages if "can not be used" in m]) == 1


def test_a_broker_that_never_answers_leaves_time_to_save_what_is_left(tmp_path: Path) -> None:
    telemetry = Telemetry(sender=StuckSender(), spool_dir=str(tmp_path), queue_events=20_000)
    emit(telemetry, 20_000)
    assert telemetry.stats().retries == 0, "nobody knows yet that it is away"
    telemetry.close(2.0)
    stats = telemetry.stats()
    assert stats.dropped_total == 0
    assert stats.spooled == stats.emitted == 20_000


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
deadline = time.monotonic() + 20
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


@pytest.mark.parametrize("hooks", [True, False])
def test_a_forked_child_has_a_spool_of_its_own_and_leaves_its_parent_s_alone(
    script: Script, tmp_path: Path, hooks: bool
) -> None:
    spool = tmp_path / "spool"
    stderr = script.run(
        f"""
        import ctypes
        fork = os.fork if {hooks} else ctypes.PyDLL(None).fork
        emit()
        while telemetry.stats().spooled < 1000:
            time.sleep(0.005)
        pid = fork()
        if pid == 0:
            for n in range(500):
                telemetry.emit({{"type": "request", "tenant": "child", "n": n}})
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
