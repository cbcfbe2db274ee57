"""A long task without a terminal reports its progress, and not too often."""

from __future__ import annotations

import threading

import pytest

from tokentide_jobs.cli import progress, screen
from tokentide_jobs.cli.progress import progress_lines
from tokentide_jobs.cli.screen import console


def test_a_long_work_says_its_step_beside_the_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = threading.Event()

    def write_and_tell(line: str, *, to_stderr: bool) -> None:
        screen.say(line, to_stderr=to_stderr)
        reported.set()

    monkeypatch.setattr(progress, "_FIRST_LINE_S", 0.01)
    monkeypatch.setattr(progress, "write_line", write_and_tell)
    with progress_lines(console(), "verify") as say:
        say("counting [1] of 2")
        assert reported.wait(60)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "tokentide: verify: counting [1] of 2 …\n"


def test_a_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_lines(console(), "verify") as say:
        say("comparing")
    assert capsys.readouterr().err == ""
