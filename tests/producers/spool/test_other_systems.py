"""The producer where Python lacks what Linux has: macOS without fdatasync, Windows without fcntl.

What is missing there is taken away before the producer is imported, in an interpreter of its own.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from tests.producers.sdk_script import PRELUDE, Script
from tests.producers.spool.test_spooled_dispatcher import Switch, books, emit, seqs
from tests.producers.test_telemetry import until
from tokentide import SettingsError, Telemetry
from tokentide.settings import Settings
from tokentide.spool import segment as segment_module

MACOS = """
import os
del os.fdatasync, os.posix_fallocate
synced = []
import fcntl
real = fcntl.fcntl
fcntl.F_FULLFSYNC = 51
def full_sync(fd, command, *more):
    if command != 51:
        return real(fd, command, *more)
    synced.append(fd)
    return 0
fcntl.fcntl = full_sync
"""
WINDOWS = """
import os, sys
sys.modules["fcntl"] = None
sys.modules["pwd"] = sys.modules["grp"] = sys.modules["resource"] = None
for name in ("fdatasync", "fork", "pread", "pwrite", "register_at_fork", "uname"):
    delattr(os, name)
"""
AWAY = """
import time, tokentide
from tokentide.testing import CaptureSender

class Switch(CaptureSender):
    is_there = False
    async def connect(self):
        if not self.is_there:
            raise ConnectionError("away")
        await super().connect()

def until(is_true):
    deadline_s = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline_s, telemetry.stats()
        time.sleep(0.01)

sender = Switch()
"""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


@pytest.mark.integration
def test_a_system_without_fdatasync_flushes_to_the_drive_itself(
    script: Script, tmp_path: Path
) -> None:
    script.run(
        """
        telemetry = tokentide.Telemetry(sender=sender, linger_ms=1)
        for n in range(1000):
            telemetry.emit({"type": "request", "n": n})
        until(lambda: telemetry.stats().spooled == 1000)
        until(lambda: synced)
        assert telemetry.stats().spool_errors == 0
        sender.is_there = True
        until(lambda: telemetry.stats().delivered == 1000)
        assert [event["n"] for event in sender.events if event["type"] == "request"] == list(
            range(1000)
        )
        """,
        prelude=MACOS + AWAY,
        spool_dir=tmp_path / "spool",
    )


@pytest.mark.integration
def test_where_nothing_can_be_locked_a_spool_is_refused_when_the_producer_is_made(
    script: Script, tmp_path: Path
) -> None:
    printed = script.run("", prelude=WINDOWS + PRELUDE, spool_dir=tmp_path / "spool", exit_code=1)
    assert "SettingsError: TOKENTIDE_SPOOL_DIR=" in printed
    assert "leave it unset" in printed


@pytest.mark.integration
def test_where_nothing_can_be_locked_the_rest_of_the_producer_works(script: Script) -> None:
    script.run("emit('a')", prelude=WINDOWS + PRELUDE)
    assert script.numbers_by_tenant() == {"a": list(range(100))}


def test_an_empty_spool_directory_is_none() -> None:
    assert Settings.load({"spool_dir": ""}, {}).spool_dir == ""


def test_a_file_system_without_the_full_flush_gets_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flushed: list[int] = []
    monkeypatch.delattr(os, "fdatasync")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)

    def refuse(_fd: int, _command: int) -> int:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    monkeypatch.setattr(os, "fsync", flushed.append)
    segment = segment_module.Segment.create(tmp_path / "0.seg")
    segment.sync()
    segment.rest()
    assert len(flushed) == 1


def test_an_error_of_any_kind_while_writing_costs_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_arguments: object) -> int:
        raise AttributeError("module 'os' has no attribute 'pwrite'")

    monkeypatch.setattr(segment_module.Segment, "append", missing)
    sender = Switch()
    telemetry = Telemetry(
        sender=sender, spool_dir=str(tmp_path / "spool"), linger_ms=1, frame_events=10
    )
    emit(telemetry, 500)
    until(lambda: telemetry.stats().spool_errors > 0)
    until(lambda: books(telemetry) == 0)
    assert telemetry.stats().queued >= 500
    sender.is_there = True
    assert telemetry.flush(20)
    telemetry.close()
    assert seqs(sender) == list(range(500))
    assert telemetry.stats().dropped_total == 0


def test_the_refusal_names_the_setting_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.pwrite")
    with pytest.raises(SettingsError, match=r"^spool_dir='/x': .*fcntl.*leave it unset"):
        Settings.load({"spool_dir": "/x"}, {})
