"""A data directory is its owner's: no other account of the machine reads what a stack stores."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokentide_jobs.embedded.stack.stack import Stack

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _umask_that_hides_nothing() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(data_dir: Path) -> list[str]:
    """What others may read, write or enter, the directory itself included."""
    found = []
    for path in (data_dir, *data_dir.rglob("*")):
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISLNK(mode):
            found.append(f"{stat.filemode(mode)} {path.relative_to(data_dir)}")
    return found


def test_everything_of_a_running_stack_is_its_owners(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    # What an earlier version left, or a copy that forgot the modes.
    for name in ("kafka/log", "logs", "workers"):
        (data_dir / name).mkdir(parents=True)
    for name in ("stack.lock", "logs/kafka.log", "logs/clickhouse.log", "kafka/old.properties"):
        (data_dir / name).touch(mode=0o644)
    assert len(open_to_others(data_dir)) == 9
    with Stack(data_dir, broker="kafka", workers=1, detect=True, viewer_port=0):
        give_up_at = time.monotonic() + 60
        while not list((data_dir / "workers").glob("*.json")):
            assert time.monotonic() < give_up_at, "no worker announced itself"
            time.sleep(0.05)
        assert open_to_others(data_dir) == []
        names = {path.name for path in data_dir.iterdir()}
        assert names >= {"kafka", "clickhouse", "logs", "workers", "stack.json", "stack.lock"}
    assert open_to_others(data_dir) == []
