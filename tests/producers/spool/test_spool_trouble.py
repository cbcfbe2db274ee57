"""A spool on a full disk, or in a directory that others change: nothing is silent."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.producers.spool.spool_disk import MIB, Disk, frame, take
from tokentide.spool import directory as spool_module
from tokentide.spool.claims import Claim
from tokentide.spool.directory import LOOK_S, RETRY_S


def test_a_full_disk_is_counted_logged_once_and_gone_on_without(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool = disk.open()
    spool.append(frame(0))
    real, size_bytes = os.pwrite, disk.size_bytes

    def half(fd: int, data: bytes, offset: int) -> int:
        if len(data) > 20:
            return real(fd, data[:20], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", half)
        for number in range(1, 5):
            disk.now_s += RETRY_S
            assert spool.append(frame(number)) is None
            assert spool.append(frame(number)) is None
        assert disk.counters.spool_errors == 4, "and asked only every few seconds"
        assert disk.size_bytes == size_bytes
    disk.now_s += RETRY_S
    assert spool.append(frame(9)) is not None
    assert [f.number for f in take(spool)] == [0, 9]
    (line,) = [message for message in caplog.messages if "cannot be used" in message]
    assert str(disk.root) in line
    assert "No space left" in line


def test_a_directory_that_can_not_be_made_is_survived(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.root.write_text("a file where the directory should be")
    spool = disk.open()
    spool.maintain()
    assert spool.append(frame(1)) is None
    assert disk.counters.spool_errors == 1
    assert "cannot be used" in caplog.text


def test_a_directory_that_is_removed_under_way_is_made_again(disk: Disk) -> None:
    spool = disk.open(max_bytes=MIB)
    spool.append(frame(0, size_bytes=200_000))
    shutil.rmtree(disk.root)
    for number in range(1, 4):
        assert spool.append(frame(number, size_bytes=200_000)) is not None
    # The removed file is still open, so what is in it is sent as well.
    assert [f.number for f in take(spool)] == [0, 1, 2, 3]
    assert disk.counters.dropped == {}
    assert disk.counters.spool_errors == 1


@pytest.mark.parametrize("what", ["removed", "moved", "replaced"])
def test_what_was_taken_away_is_lost_with_the_process_and_counted(
    disk: Disk, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    spool = disk.open()
    spool.append(frame(0, events=3))
    (path,) = disk.files
    if what == "moved":
        disk.root.rename(tmp_path / "elsewhere")
    else:
        path.unlink()
    if what == "replaced":
        path.write_bytes(b"a stranger's")
    spool.maintain()
    assert disk.counters.spool_errors == 1
    assert "was removed or moved from outside: its 3 events" in caplog.text
    disk.now_s += 10
    assert spool.append(frame(1, events=2)) is not None  # into a file that is there
    spool.close()
    assert disk.counters.dropped == {"spool_lost": 3}
    assert spool.events == 2
    assert disk.counters.spool_errors == 1
    if what == "replaced":
        assert path.read_bytes() == b"a stranger's"
    if what == "moved":
        assert list((tmp_path / "elsewhere").rglob("*.seg"))
    heir = disk.open("heir")
    heir.maintain()
    assert [f.number for f in take(heir)] == [1]


def test_a_file_at_rest_that_was_taken_away_is_counted_at_once(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 500)
    spool = disk.open()
    for number in range(8):
        spool.append(frame(number, size_bytes=400))
    disk.files[0].unlink()
    spool.maintain()
    assert disk.counters.dropped == {"spool_lost": 4}
    assert [f.number for f in take(spool)] == list(range(2, 8))
    assert (spool.events, spool.size_bytes) == (0, 0)


def test_a_stranger_s_file_is_set_aside(disk: Disk) -> None:
    Claim.make(disk.root / "a").release()
    claim = Claim.make(disk.root / "a")
    (disk.root / "a" / "00000000.seg").write_text("not ours")
    claim.release()
    spool = disk.open("b")
    for _ in range(3):
        spool.maintain()
        disk.now_s += LOOK_S
    assert disk.counters.spool_errors == 1
    assert [path.name for path in (disk.root / "a").iterdir() if path.name != "lock"] == [
        "00000000.damaged"
    ]


def test_files_are_for_their_owner_only(disk: Disk) -> None:
    spool = disk.open()
    spool.append(frame(0))
    (path,) = disk.files
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_removed_directory_has_one_heir(tmp_path: Path) -> None:
    Claim.make(tmp_path / "a").release()
    assert not (tmp_path / "a").exists(), "what is empty is removed"
    claim = Claim.make(tmp_path / "a")
    (tmp_path / "a" / "x").touch()
    assert Claim.take(tmp_path / "a") is None
    claim.release()
    heir = Claim.take(tmp_path / "a")
    assert heir is not None
    assert Claim.take(tmp_path / "a") is None
    heir.release()
    assert Claim.take(tmp_path / "nothing") is None
