"""What failed beside others is run once more: a fault stays one, and too many are not excused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.once_more import main

SOMETIMES = """
from pathlib import Path

def test_the_second_time():
    seen = Path(__file__).with_suffix(".seen")
    was_there = seen.exists()
    seen.touch()
    assert was_there

def test_never():
    assert False
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "v/cache").mkdir(parents=True)
    (tmp_path / "test_it.py").write_text(SOMETIMES)
    (tmp_path / "test_it.seen").touch()
    return tmp_path


def fail(cache: Path, *names: str) -> None:
    failed = {f"{cache}/test_it.py::{name}": True for name in names}
    (cache / "v/cache/lastfailed").write_text(json.dumps(failed))


@pytest.mark.integration
def test_what_passes_alone_is_named_and_what_fails_again_fails(
    cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds to load
    fail(cache, "test_the_second_time")
    assert main(cache) == 0
    assert "TO BE MENDED" in capfd.readouterr().out
    fail(cache, "test_the_second_time", "test_never")
    assert main(cache) == 1
    assert "TO BE MENDED" not in capfd.readouterr().out


def test_nothing_is_run_again_where_many_failed_or_their_names_are_missing(cache: Path) -> None:
    assert main(cache / "nowhere") == 1
    fail(cache, *"abcd")
    assert main(cache) == 1
