"""What waits on disk shares one bound, and leaves the disk its reserve."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tokentide_jobs.embedded.clickhouse.engine.waiting_space import WaitingSpace
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError

MIB = 1024 * 1024


def test_one_result_and_all_together_are_bounded_and_given_back(tmp_path: Path) -> None:
    space = WaitingSpace(100 * MIB, 0, tmp_path)
    with space.claimed() as one:
        one.grow_to(100 * MIB)
        with pytest.raises(ClickHouseError, match="Limit for result exceeded") as refused:
            one.grow_to(100 * MIB + 1)
        assert refused.value.code == 396
        with space.claimed() as other, space.claimed() as third:
            other.grow_to(60 * MIB)
            third.grow_to(40 * MIB)
            with pytest.raises(ClickHouseError, match="ask again later") as refused:
                third.grow_to(40 * MIB + 1)
            assert refused.value.code == 243
    with space.claimed() as one, space.claimed() as other:
        one.grow_to(100 * MIB)
        other.grow_to(100 * MIB)


def test_the_disk_keeps_what_is_kept_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [500 * MIB]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free[0]))
    space = WaitingSpace(1000 * MIB, 400 * MIB, tmp_path)
    with space.claimed() as claim:
        claim.grow_to(50 * MIB)
        free[0] = 399 * MIB
        claim.grow_to(50 * MIB)
        with pytest.raises(ClickHouseError, match="418381824 bytes free") as refused:
            claim.grow_to(101 * MIB)
        assert refused.value.code == 243
    with space.claimed() as claim:
        claim.grow_to(MIB)  # a dashboard is answered still
    free[0] = 10 * MIB
    with pytest.raises(ClickHouseError, match="Not enough space"), space.claimed():
        pass
