"""Frames on disk: what is written comes back, in order, within its bound, whatever happens."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from tests.producers.spool.spool_disk import ME, MIB, Disk, frame, take
from tokentide.delivery.framing import Frame
from tokentide.spool import directory as spool_module
from tokentide.spool.directory import LOOK_S
from tokentide.spool.segment import DamagedSegment, Segment, pack


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
