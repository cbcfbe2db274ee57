"""Directories and files that only their owner may read, whatever the umask is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokentide_jobs.embedded.processes.locks import DataDirLock
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.owner_only import (
    new_owner_only_directory,
    owner_only_directory,
    owner_only_file,
)

WRITTEN = os.O_WRONLY | os.O_CREAT


@pytest.fixture(autouse=True)
def _umask_that_hides_nothing() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_new_is_its_owners(tmp_path: Path) -> None:
    owner_only_directory(tmp_path / "data")
    os.close(owner_only_file(tmp_path / "data" / "log", WRITTEN))
    assert mode(tmp_path / "data") == 0o700
    assert mode(tmp_path / "data" / "log") == 0o600


def test_what_was_left_open_is_closed_with_everything_in_it(tmp_path: Path) -> None:
    deep = tmp_path / "kafka" / "log" / "events-0"
    deep.mkdir(parents=True)
    (deep / "0.log").touch(mode=0o644)
    (deep / "run.sh").touch(mode=0o755)
    outside = tmp_path / "outside"
    outside.touch(mode=0o644)
    (deep / "link").symlink_to(outside)
    (deep / "dangling").symlink_to(tmp_path / "nowhere")
    owner_only_directory(tmp_path / "kafka")
    assert {mode(path) for path in (deep, deep.parent, deep.parent.parent)} == {0o700}
    assert mode(deep / "0.log") == 0o600
    assert mode(deep / "run.sh") == 0o700
    assert mode(outside) == 0o644, "a link's target lies elsewhere"


def test_a_new_directory_is_its_owners_and_one_that_is_there_keeps_its_mode(
    tmp_path: Path,
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    new_owner_only_directory(shared)
    new_owner_only_directory(shared / "logs")
    assert (mode(shared), mode(shared / "logs")) == (0o755, 0o700)


def take_and_release(data_dir: Path) -> None:
    lock = DataDirLock(data_dir)
    lock.acquire()
    lock.release()


@pytest.mark.parametrize(
    ("data_dir", "message"),
    [
        ("/dev/null", "/dev/null is no directory: name another"),
        ("/dev/null/below", "/dev/null/below is no directory: name another"),
        pytest.param(
            "/proc/x",
            "no directory can be made at /proc/x: name another",
            marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux has /proc"),
        ),
    ],
)
def test_what_cannot_be_a_data_directory_is_refused_by_name(data_dir: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        take_and_release(Path(data_dir))


def test_a_data_directory_may_be_a_home_directory_and_keeps_its_mode(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "page.html").touch(mode=0o644)
    for _start in range(2):  # the second finds the lock file of the first
        take_and_release(home)
        assert (mode(home), mode(home / "page.html")) == (0o755, 0o644)
    assert mode(home / "stack.lock") == 0o600


def test_a_data_directory_of_stacks_alone_is_closed(tmp_path: Path) -> None:
    take_and_release(tmp_path / "new")
    assert mode(tmp_path / "new") == 0o700
    left_open = tmp_path / "left-open"
    (left_open / "kafka").mkdir(parents=True)
    (left_open / "stack.lock").touch(mode=0o644)
    take_and_release(left_open)
    assert (mode(left_open), mode(left_open / "stack.lock")) == (0o700, 0o600)


def test_a_file_that_was_left_open_is_closed_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "stack.lock"
    path.touch(mode=0o644)
    os.close(owner_only_file(path, WRITTEN))
    assert mode(path) == 0o600
