"""Hints name the program as the reader's shell finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tokentide_jobs.cli.program import program


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the program in an environment that is not activated, run from the folder above it."""
    script = tmp_path / ".venv" / "bin" / "tokentide"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(sys, "argv", [".venv/bin/tokentide"])
    return script


def test_an_environment_that_is_not_activated_is_named_by_its_path(script: Path) -> None:
    assert program() == ".venv/bin/tokentide"


def test_from_elsewhere_the_path_is_whole(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program() == str(script)


def test_on_the_path_the_name_is_enough(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert program() == "tokentide"


def test_another_program_of_that_name_on_the_path_is_not_meant(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere" / "tokentide"
    other.parent.mkdir()
    other.touch(mode=0o755)
    assert program() == ".venv/bin/tokentide"


def test_a_module_run_by_python_says_the_usual_name(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/tokentide_jobs/__main__.py"])
    assert program() == "tokentide"
