"""When a disk counts as full, and when it counts as usable again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokentide_jobs.disk_space import DiskSpaceFloor
from tokentide_jobs.embedded.processes.local_disk_space import LocalDiskSpace


def test_full_below_the_floor_and_usable_only_a_quarter_above_it() -> None:
    floor = DiskSpaceFloor(1000)
    seen = [(free, floor.look(free), floor.is_low) for free in (1000, 999, 1000, 1249, 1250, 1000)]
    assert seen == [
        (1000, False, False),
        (999, True, True),
        (1000, False, True),
        (1249, False, True),
        (1250, True, False),
        (1000, False, False),
    ]


def test_a_floor_of_zero_is_never_reached() -> None:
    floor = DiskSpaceFloor(0)
    assert not floor.look(0)
    assert not floor.is_low


@pytest.mark.parametrize(("floor_bytes", "is_full"), [(1, False), (1 << 60, True)])
def test_the_disk_of_a_directory_is_looked_at(
    tmp_path: Path, floor_bytes: int, is_full: bool
) -> None:
    room = LocalDiskSpace(tmp_path, floor_bytes)
    assert room.is_full() is is_full
    assert 0 < room.free_bytes() < 1 << 60
