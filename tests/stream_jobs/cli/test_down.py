"""`tokentide down` waits for a stack that is slow to stop, says so, and gives up some time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tokentide_jobs.cli import stack
from tokentide_jobs.cli.main import main

PID = 2**22 + 1
"""Of no process."""


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """List the processes that are asked to end, and by which signal."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def test_a_stack_that_is_slow_to_stop_is_waited_for_and_said_to_be_stopping(
    asked: list[tuple[int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    holders = iter([PID, PID, PID, None])
    monkeypatch.setattr(stack, "holder_pid", lambda _directory: next(holders))
    monkeypatch.setattr(stack, "_SAY_STILL_S", 0.0)
    assert main(["down", "--data-dir", str(tmp_path)]) == 0
    assert asked == [(PID, signal.SIGTERM)]
    printed = capsys.readouterr().err
    assert f"process {PID} is still stopping, " in printed
    assert printed.endswith(f"stopped the stack of process {PID}\n")


def test_one_that_never_stops_is_named_with_what_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack, "holder_pid", lambda _directory: PID)
    monkeypatch.setattr(stack, "_STOP_DEADLINE_S", 0.0)
    assert main(["down", "--data-dir", str(tmp_path)]) == 3
    assert f"`kill -9 {PID}` ends it with all that it started" in capsys.readouterr().err
