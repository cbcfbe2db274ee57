"""Frames on disk: what is written comes back, in order, within its bound, whatever happens."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokentide.delivery.counters import Counters
from tokentide.delivery.framing import Frame
from tokentide.log import RateLimitedLog
from tokentide.spool import directory as spool_module
from tokentide.spool.claims import Claim
from tokentide.spool.directory import LOOK_S, RETRY_S, Spool
from tokentide.spool.segment import DamagedSegment, Segment, pack

MIB = 1024 * 1024
ME = "00000000-0000-7000-8000-00000000000a"


class Disk:
    """A spool directory, the spools opened on it, and a clock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_s = 0.0
        self.counters = Counters()
        self.spools: list[Spool] = []

    def open(self, name: str = ME, max_bytes: int = 64 * MIB, drops_oldest: bool = False) -> Spool:
        spool = Spool(
            self.root,
            max_bytes,
            name,
            drops_oldest=drops_oldest,
            counters=self.counters,
            log=RateLimitedLog(),
            clock=lambda: self.now_s,
        )
        self.spools.append(spool)
        return spool

    @property
    def files(self) -> list[Path]:
        return sorted(self.root.rglob("*.seg"))

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "spool")
    yield disk
    for spool in disk.spools:
        spool.close()


def frame(number: int, events: int = 2, size_bytes: int = 50, topic: str = "") -> Frame:
    # Random bytes, because only they keep their size when they are compressed.
    return Frame(number, b"%d:" % number + os.urandom(size_bytes), events, topic=topic)


def take(spool: Spool, batch_bytes: int = MIB) -> list[Frame]:
    """Reads and settles everything."""
    taken = []
    while spool.first_number is not None or spool.has_orphaned:
        for found, slot in spool.start_batch(batch_bytes):
            spool.settle(slot, found)
            taken.append(found)
    return taken


def test_frames_come_back_as_they_were_and_in_order_and_leave_nothing(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 4000)
    spool = disk.open()
    frames = [frame(n, topic="content" if n % 7 == 0 else "") for n in range(300)]
    for one in frames:
        assert spool.append(one) is not None
    assert len(disk.files) > 5
    assert (spool.events, spool.first_number) == (600, 0)
    assert spool.size_bytes == disk.size_bytes
    assert take(spool, batch_bytes=500) == frames
    assert (spool.events, spool.size_bytes, disk.files) == (0, 0, [])
    spool.close()
    assert list(disk.root.iterdir()) == []


def test_a_batch_holds_one_topic_and_keeps_to_its_size(disk: Disk) -> None:
    spool = disk.open()
    for number in range(6):
        spool.append(frame(number, size_bytes=100, topic="content" if number >= 4 else ""))
    sizes = []
    while spool.first_number is not None:
        batch = spool.start_batch(320)
        sizes.append([found.number for found, _ in batch])
        for found, slot in batch:
            spool.settle(slot, found)
    assert sizes == [[0, 1, 2], [3], [4, 5]]


def test_a_crash_at_any_moment_repeats_what_was_not_settled_and_nothing_else(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 400)
    spool = disk.open()
    frames = [frame(n) for n in range(12)]
    unsettled: list[Frame] = []

    def check_after_crash(step: int) -> None:
        heir = Disk(tmp_path / f"crash-{step}")
        shutil.copytree(disk.root, heir.root)
        successor = heir.open("b")
        successor.maintain()
        assert heir.counters.adopted == successor.events == 2 * len(unsettled)
        found = take(successor)
        assert [f.payload for f in found] == [f.payload for f in unsettled]
        assert {f.producer_id for f in found} <= {ME}, "they keep the id of who made them"
        successor.close()
        assert list(heir.root.iterdir()) == []

    for step, one in enumerate(frames):
        spool.append(one)
        unsettled.append(one)
        check_after_crash(step)
    step = 100
    while spool.first_number is not None:
        for found, slot in spool.start_batch(200):
            check_after_crash(step)
            spool.settle(slot, found)
            unsettled.pop(0)
            check_after_crash(step + 1)
            step += 2


def test_a_torn_tail_costs_the_frame_that_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "00000000.seg"
    segment = Segment.create(path)
    ends = [segment.append(pack(f, ME), f) for f in (frame(n, size_bytes=8) for n in range(3))]
    segment.rest()
    whole = path.read_bytes()
    for size_bytes in range(ends[0], len(whole)):
        path.write_bytes(whole[:size_bytes])
        torn = Segment.load(path)
        survivors = sum(end <= size_bytes for end in ends)
        assert torn.events == 2 * survivors
        assert [torn.read()[0].number for _ in range(survivors)] == list(range(survivors))
        assert not torn.has_unread
        torn.rest()


def test_no_flipped_bit_is_ever_read_as_an_event(tmp_path: Path) -> None:
    path = tmp_path / "00000000.seg"
    frames = [frame(n, size_bytes=8) for n in range(2)]
    segment = Segment.create(path)
    for one in frames:
        segment.append(pack(one, ME), one)
    segment.rest()
    whole = path.read_bytes()
    sound = {f.payload for f in frames}
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with contextlib.suppress(DamagedSegment):
            damaged = Segment.load(path)
            try:
                while damaged.has_unread:
                    assert damaged.read()[0].payload in sound
            finally:
                damaged.rest()


def test_damage_costs_the_rest_of_its_file_and_is_counted(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 500)
    spool = disk.open()
    frames = [frame(n, size_bytes=100) for n in range(12)]
    for one in frames:
        spool.append(one)
    second = disk.files[1]
    data = bytearray(second.read_bytes())
    data[-40] ^= 1
    second.write_bytes(data)
    found = [f.number for f in take(spool)]
    lost = 12 - len(found)
    assert found == sorted(found)
    assert 1 <= lost <= 4
    assert disk.counters.dropped == {"spool_damaged": 2 * lost}
    assert "spooled events are lost" in caplog.text
    assert (spool.events, spool.size_bytes, disk.files) == (0, 0, [])


def test_a_full_spool_admits_nothing_new_and_stays_within_its_bound(disk: Disk) -> None:
    spool = disk.open(max_bytes=MIB)
    admitted = [n for n in range(100) if spool.append(frame(n, size_bytes=50_000)) is not None]
    assert admitted == list(range(20))
    assert disk.size_bytes <= MIB
    (first, slot), *_ = spool.start_batch(1)
    spool.settle(slot, first)
    for _ in range(2):
        for found, slot in spool.start_batch(1):
            spool.settle(slot, found)
    assert spool.append(frame(100, size_bytes=50_000)) is not None, "a file that is sent makes room"
    assert [f.number for f in take(spool)] == [*range(3, 20), 100]


def test_with_the_oldest_dropped_whole_files_make_room_and_are_counted(disk: Disk) -> None:
    spool = disk.open(max_bytes=MIB, drops_oldest=True)
    (flying,) = [spool.append(frame(0, size_bytes=50_000), is_in_flight=True)]
    assert flying is not None
    for number in range(1, 100):
        assert spool.append(frame(number, size_bytes=50_000)) is not None
        assert disk.size_bytes <= MIB
    survivors = [f.number for f in take(spool)]
    assert survivors[-1] == 99
    # What is in flight is never dropped, so the file it is in survives with its neighbours.
    late = [n for n in survivors if n > 2]
    assert late == list(range(late[0], 100))
    assert disk.counters.dropped == {"spool_full": 2 * (99 - len(survivors))}


def test_the_bound_holds_for_all_processes_together(disk: Disk) -> None:
    first = disk.open("a", max_bytes=MIB)
    for number in range(10):
        assert first.append(frame(number, size_bytes=50_000)) is not None
    second = disk.open("b", max_bytes=MIB)
    admitted = sum(second.append(frame(n, size_bytes=50_000)) is not None for n in range(100))
    assert 9 <= admitted <= 10
    assert disk.size_bytes <= MIB


def test_what_another_live_producer_holds_is_left_alone(disk: Disk) -> None:
    living = disk.open("a")
    living.append(frame(1))
    other = disk.open("b")
    other.maintain()
    assert not other.has_orphaned
    living.close()
    disk.now_s += LOOK_S - 1
    other.maintain()
    assert not other.has_orphaned
    disk.now_s += 1
    other.maintain()
    assert [f.number for f in take(other)] == [1]
    assert disk.counters.adopted == 2


def test_own_frames_go_before_those_of_the_dead(disk: Disk) -> None:
    dead = disk.open("a")
    for number in range(3):
        dead.append(frame(number))
    dead.close()
    spool = disk.open("b")
    spool.maintain()
    spool.append(frame(70))
    assert spool.first_number == 70
    assert [(f.number, f.producer_id) for f in take(spool)] == [
        (70, ""),
        (0, "a"),
        (1, "a"),
        (2, "a"),
    ]


def test_a_thread_that_follows_a_dead_one_of_its_process_goes_on_with_its_frames(
    disk: Disk,
) -> None:
    before = disk.open()
    before.append(frame(1))
    before.close()
    after = disk.open()
    after.maintain()
    after.append(frame(2))
    assert disk.counters.adopted == 0, "they were emitted here"
    assert [(f.number, f.producer_id) for f in take(after)] == [(1, ""), (2, "")]


def test_a_full_disk_is_counted_told_once_and_gone_on_without(
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
    assert "was removed or moved by somebody else: its 3 events" in caplog.text
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
