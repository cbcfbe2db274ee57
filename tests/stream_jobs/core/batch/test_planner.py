"""The batch planner: ranges without holes, limits, gaps accepted only when seen twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentide_jobs.core.batch.planner import (
    Limits,
    OfferResult,
    PartitionPlanner,
    SealedBatch,
    event_estimate,
)
from tokentide_jobs.errors import InvariantViolation

LIMITS = Limits(rows=10, bytes=10_000, age_ms=500, buffer_bytes=20_000)


@dataclass(frozen=True)
class Stored:
    offset: int
    value: bytes = b"{}"


def planner_with(
    *offsets: int, start: int = 0, limits: Limits = LIMITS
) -> PartitionPlanner[Stored]:
    planner: PartitionPlanner[Stored] = PartitionPlanner(start, limits)
    for offset in offsets:
        assert planner.offer(Stored(offset), now_ms=0) is OfferResult.KEPT
    return planner


def sealed(planner: PartitionPlanner[Stored], now_ms: int = 0) -> SealedBatch[Stored]:
    batch = planner.seal(now_ms)
    assert batch is not None
    return batch


def test_after_a_pause_the_buffer_waits_for_company_as_if_it_had_just_arrived() -> None:
    planner: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS)
    planner.offer(Stored(0, b"x"), 1_000)
    assert planner.age_ms(1_400) == 400
    planner.resume(1_400)
    assert planner.seal(1_500) is None
    assert planner.wait_ms(1_500) == 400
    batch = sealed(planner, 1_900)
    assert (batch.end, batch.reason) == (1, "age")
    planner.begin_batch(1, None)
    planner.offer(Stored(1, b"x"), 2_000)
    assert planner.age_ms(2_100) == 100


def test_nothing_is_due_before_its_age() -> None:
    planner = planner_with(0, 1)
    assert planner.seal(now_ms=499) is None
    assert planner.wait_ms(now_ms=400) == 100
    batch = sealed(planner, now_ms=500)
    assert (batch.start, batch.end, batch.reason) == (0, 2, "age")


def test_the_next_batch_begins_eight_times_as_long_after_one_as_that_took() -> None:
    planner = planner_with(0)
    planner.begin_batch(1, None)
    planner.rest_after(begun_ms=1_000, took_ms=150)
    assert planner.offer(Stored(1), now_ms=1_200) is OfferResult.KEPT
    assert planner.seal(now_ms=1_700) is None, "its age alone is no reason"
    assert planner.wait_ms(now_ms=1_700) == 500
    assert sealed(planner, now_ms=2_200).end == 2


def test_a_slow_store_is_waited_for_three_ages_and_silence_is_rest_enough() -> None:
    planner = planner_with(0)
    planner.begin_batch(1, None)
    planner.rest_after(begun_ms=1_000, took_ms=60_000)
    assert planner.offer(Stored(1), now_ms=1_900) is OfferResult.KEPT
    assert planner.wait_ms(now_ms=1_900) == 600, "1,500 after the beginning"
    planner.begin_batch(2, None)
    assert planner.offer(Stored(2), now_ms=5_000) is OfferResult.KEPT
    assert planner.wait_ms(now_ms=5_000) == LIMITS.age_ms


def test_rest_keeps_nothing_that_is_due_for_other_reasons_than_its_age() -> None:
    planner = planner_with()
    planner.rest_after(begun_ms=0, took_ms=100)
    planner.offer(Stored(0, b"\n".join([b"{}"] * 10)), now_ms=1)
    assert sealed(planner, now_ms=1).reason == "rows"


def test_an_awaited_range_is_due_once_all_of_it_is_here_and_only_once() -> None:
    planner = planner_with(0)
    planner.rest_after(begun_ms=0, took_ms=100)
    planner.seal_at(2)
    assert planner.seal(now_ms=1) is None, "a record of it is not here yet"
    planner.offer(Stored(1), now_ms=1)
    assert planner.is_ready
    assert sealed(planner, now_ms=1).end == 2
    planner.begin_batch(2, None)
    planner.offer(Stored(2), now_ms=1)
    assert planner.seal(now_ms=1) is None


def test_rows_seal_at_the_record_that_reaches_them_and_never_inside_it() -> None:
    planner: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS)
    frame = b"\n".join([b"{}"] * 7)
    for offset in range(3):
        planner.offer(Stored(offset, frame), now_ms=0)
    batch = sealed(planner)
    assert (batch.start, batch.end, batch.reason) == (0, 2, "rows")
    assert [record.offset for record in batch.records] == [0, 1]


def test_bytes_seal() -> None:
    planner: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS)
    for offset in range(3):
        planner.offer(Stored(offset, b"x" * 6000), now_ms=0)
    assert sealed(planner).end == 2
    assert sealed(planner).reason == "bytes"


def test_drain_seals_whatever_is_there() -> None:
    planner = planner_with(0)
    batch = planner.seal(now_ms=0, drain=True)
    assert batch is not None
    assert batch.reason == "drain"


def test_sealing_again_gives_the_same_batch_until_it_is_removed() -> None:
    planner = planner_with(0, 1)
    assert sealed(planner, 500) == sealed(planner, 500)
    planner.begin_batch(2, None)
    assert planner.seal(10_000) is None
    assert planner.buffered_bytes == planner.buffered_events == 0


def test_a_smaller_intent_cuts_the_batch() -> None:
    planner = planner_with(0, 1, 2)
    planner.begin_batch(0, 2)
    batch = sealed(planner)
    assert (batch.start, batch.end, batch.reason) == (0, 2, "intent")
    planner.begin_batch(2, None)
    assert sealed(planner, 500).start == 2


def test_a_larger_intent_waits_for_its_last_record_whatever_the_age() -> None:
    planner = planner_with(0, 1)
    planner.begin_batch(0, 4)
    assert planner.seal(now_ms=1_000_000, drain=True) is None
    assert planner.wait_ms(now_ms=0) is None
    planner.offer(Stored(2), now_ms=0)
    planner.offer(Stored(3), now_ms=0)
    assert sealed(planner).end == 4


def test_a_batch_reaches_from_the_last_end_even_when_its_first_offsets_have_expired() -> None:
    planner: PartitionPlanner[Stored] = PartitionPlanner(5, LIMITS, expected=8)
    assert planner.offer(Stored(8), now_ms=0) is OfferResult.KEPT
    batch = sealed(planner, 500)
    assert (batch.start, batch.end) == (5, 9)


def test_records_that_come_again_are_not_kept_twice() -> None:
    planner = planner_with(0, 1)
    assert planner.offer(Stored(1), now_ms=0) is OfferResult.REPEATED
    assert planner.buffered_events == 2


def test_a_gap_is_believed_only_after_a_second_reading() -> None:
    planner = planner_with(0)
    assert planner.offer(Stored(3), now_ms=0) is OfferResult.GAP
    assert planner.offer(Stored(4), now_ms=0) is OfferResult.DISCARDED
    assert planner.expected == 1
    assert planner.offer(Stored(3), now_ms=0) is OfferResult.KEPT
    assert planner.offer(Stored(4), now_ms=0) is OfferResult.KEPT
    assert sealed(planner, 500).end == 5


def test_records_lost_on_their_way_are_found_by_the_second_reading() -> None:
    planner = planner_with(0)
    assert planner.offer(Stored(3), now_ms=0) is OfferResult.GAP
    for offset in (1, 2, 3):
        assert planner.offer(Stored(offset), now_ms=0) is OfferResult.KEPT
    assert sealed(planner, 500).end == 4


def test_holes_that_two_readings_show_are_believed_at_once() -> None:
    """A log of transactions: every one is followed by a marker, which no reader gets."""
    planner, offsets = planner_with(0), [2, 4, 5, 8, 11]
    verdicts = [planner.offer(Stored(offset), now_ms=0) for offset in offsets]
    assert verdicts == [OfferResult.GAP, *[OfferResult.DISCARDED] * 4]
    for offset in offsets:
        assert planner.offer(Stored(offset), now_ms=0) is OfferResult.KEPT
    assert planner.offer(Stored(13), now_ms=0) is OfferResult.GAP


def test_a_hole_that_only_the_second_reading_shows_is_not_believed() -> None:
    planner = planner_with(0)
    for offset in (2, 3, 4, 5):
        planner.offer(Stored(offset), now_ms=0)
    assert planner.offer(Stored(2), now_ms=0) is OfferResult.KEPT
    assert planner.offer(Stored(5), now_ms=0) is OfferResult.GAP
    assert planner.expected == 3
    for offset in (3, 4, 5):
        assert planner.offer(Stored(offset), now_ms=0) is OfferResult.KEPT


def test_a_hole_that_only_the_first_reading_showed_heals() -> None:
    planner = planner_with(0)
    for offset in (2, 5):
        planner.offer(Stored(offset), now_ms=0)
    for offset in (1, 2, 3, 4, 5):
        assert planner.offer(Stored(offset), now_ms=0) is OfferResult.KEPT
    assert planner.expected == 6


def test_a_full_buffer_pauses_and_resumes_when_half_is_free() -> None:
    planner: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS)
    for offset in range(4):
        planner.offer(Stored(offset, b"x" * 5000), now_ms=0)
    assert (planner.is_full, planner.has_room) == (True, False)
    planner.begin_batch(1, None)
    assert (planner.is_full, planner.has_room) == (False, False)
    planner.begin_batch(3, None)
    assert (planner.is_full, planner.has_room) == (False, True)


def test_an_open_intent_larger_than_the_buffer_does_not_pause_for_ever() -> None:
    planner: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS)
    planner.begin_batch(0, 6)
    for offset in range(5):
        planner.offer(Stored(offset, b"x" * 5000), now_ms=0)
    assert (planner.is_full, planner.expected) == (False, 5)
    planner.offer(Stored(5, b"x"), now_ms=0)
    assert (planner.is_full, planner.expected) == (True, 6)


def test_a_batch_may_begin_beyond_what_was_read_when_another_worker_has_stored_it() -> None:
    planner = planner_with(0, 1)
    planner.begin_batch(5, None)
    assert (planner.buffered_events, planner.expected) == (0, 5)
    assert planner.offer(Stored(2), now_ms=0) is OfferResult.REPEATED
    assert planner.offer(Stored(5), now_ms=0) is OfferResult.KEPT


def test_a_batch_never_begins_before_the_one_in_hand() -> None:
    with pytest.raises(InvariantViolation, match="cannot follow one that begins at 3"):
        planner_with(start=3).begin_batch(2, None)


def test_an_intent_without_offsets_is_refused() -> None:
    with pytest.raises(InvariantViolation, match=r"\[0, 0\) cannot follow"):
        planner_with(0, start=0).begin_batch(0, 0)


@pytest.mark.parametrize(("value", "events"), [(b"", 1), (b"{}", 1), (b"{}\n", 1), (b"{}\n{}", 2)])
def test_events_are_estimated_by_lines(value: bytes, events: int) -> None:
    assert event_estimate(value) == events


def test_events_of_a_large_frame_are_estimated_by_its_beginning() -> None:
    frame = b"\n".join([b"x" * 700] * 400)
    assert event_estimate(frame) == pytest.approx(400, rel=0.05)
    assert event_estimate(b"x" * len(frame)) == 1


@given(
    sizes=st.lists(st.integers(0, 6000), min_size=1, max_size=60),
    holes=st.sets(st.integers(0, 80), max_size=20),
    rows=st.integers(1, 15),
    cuts=st.lists(st.integers(1, 4), max_size=10),
)
def test_batches_follow_each_other_and_hold_every_record_once(
    sizes: list[int], holes: set[int], rows: int, cuts: list[int]
) -> None:
    offsets = [offset for offset in range(len(sizes) + len(holes)) if offset not in holes]
    log = [Stored(offset, b"x" * size) for offset, size in zip(offsets, sizes, strict=False)]
    planner: PartitionPlanner[Stored] = PartitionPlanner(
        0, Limits(rows=rows, bytes=9_000, age_ms=100, buffer_bytes=10**9)
    )
    batches: list[SealedBatch[Stored]] = []
    unread = list(log)
    now_ms = 0
    while unread or planner.buffered_events:
        now_ms += 30
        if unread:
            verdict = planner.offer(unread[0], now_ms)
            if verdict is OfferResult.GAP:
                unread = [record for record in log if record.offset >= planner.expected]
                continue
            unread.pop(0)
        batch = planner.seal(now_ms, drain=not unread)
        if batch is not None:
            if cuts and batch.end - batch.start > cuts[-1] and batch.records:
                planner.begin_batch(batch.start, batch.records[0].offset + 1)
                cuts.pop()
                batch = sealed(planner, now_ms)
            batches.append(batch)
            planner.begin_batch(batch.end, None)
    assert [record for batch in batches for record in batch.records] == log
    assert [batch.start for batch in batches] == [0, *[batch.end for batch in batches[:-1]]]
