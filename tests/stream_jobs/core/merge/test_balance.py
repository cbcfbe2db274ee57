"""A balance names the batches that the windows hold, and what of each of them is there."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace

import polars as pl
import pytest

from tests.sampling import examples
from tests.stream_jobs.core.decide.recorded_stream import BUDGETS, RULES, TICKS, recorded
from tests.stream_jobs.core.merge.delta_records import (
    MINUTE_US,
    NOON_US,
    at,
    log,
    mark,
    window_rows,
    windows,
)
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.merge.balance import Consumed
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.merge.merged_sums import MergedSums
from tokentide_jobs.core.merge.packing import pack, unpack

DAY_US = 24 * 60 * MINUTE_US


def fresh(partitions: int = 1) -> Decider:
    decider = Decider(RULES, BUDGETS)
    decider.balance.partitions = tuple(range(partitions))
    return decider


def of_ticks(first: int, end: int) -> MergedSums:
    """Return what the recorded batches of these ticks hold: two series each."""
    costs = (10**11 * (tick % 3 + 1) + 7 for tick in range(first, end))
    return MergedSums(sum(2 * (400 + tick) for tick in range(first, end)), 2 * sum(costs))


def consumed_by(decider: Decider) -> Consumed:
    consumed = decider.consumed()
    assert consumed is not None
    assert Consumed.from_json(consumed.to_json()) == consumed
    return consumed


def delta(
    start: int, end: int, events: int, start_us: int = NOON_US, chunk: int = 0
) -> DeltaRecord:
    row = {"window_start": at(start_us), "service": "chat", "events": events, "cost_pico_usd": 3}
    return windows(window_rows([row]), start, end, stamp_us=NOON_US, chunk=chunk)


@pytest.mark.parametrize("seed", range(examples(1)))
def test_at_any_record_it_holds_exactly_the_batches_that_it_names(seed: int) -> None:
    rng = random.Random(seed)
    begin = rng.randrange(TICKS // 2)
    decider, records = fresh(), recorded()
    at_record = rng.randrange(8 * begin + 1)
    decider.take(records[:at_record])
    first = max(begin, -(-decider.seen.ends().get(log(), 0) // 10))
    decider.begin_balance({log(): 10 * first})
    while at_record < len(records):
        size = rng.randrange(1, 9)
        decider.take(records[at_record : at_record + size])
        at_record += size
        consumed = consumed_by(decider)
        low, high = consumed.ranges[log()]
        assert low == 10 * first
        assert consumed.sums == of_ticks(low // 10, high // 10)
        state = decider.to_bytes()
        decider = Decider.from_bytes(state, RULES, BUDGETS)
        decider.balance.partitions = (0,)
        assert decider.to_bytes() == state
    assert high == 10 * TICKS


def test_a_delta_that_is_lost_in_the_merge_is_missing_for_good() -> None:
    decider, records = fresh(), recorded()
    decider.begin_balance({})
    decider.take(records[:40])
    assert consumed_by(decider).sums.events
    opened = decider.merge._open
    start_us = opened.starts[0]
    opened.forget(start_us, start_us + MINUTE_US)  # its sums are gone, unjudged
    decider.take(records[40:])
    assert consumed_by(decider).sums != of_ticks(0, TICKS)


def test_a_record_that_cannot_be_read_is_missing_once_its_batch_is_whole() -> None:
    decider = fresh()
    decider.begin_balance({})
    decider.take([delta(0, 10, 5), replace(delta(0, 10, 7, chunk=1), value=b"torn")])
    assert consumed_by(decider).sums == MergedSums(), "the batch is not whole yet"
    decider.take([mark(NOON_US, 10)])
    assert consumed_by(decider).ranges == {log(): (0, 10)}
    assert consumed_by(decider).sums == MergedSums(5, 3), "of twelve"


def test_what_no_window_takes_counts_and_is_named() -> None:
    decider = fresh()
    decider.begin_balance({})
    decider.take([mark(NOON_US, 0), mark(NOON_US + MINUTE_US, 0)])
    decider.take([delta(0, 10, 5, NOON_US - DAY_US), mark(NOON_US + 2 * MINUTE_US, 10)])
    assert consumed_by(decider).sums == MergedSums(5, 3)
    assert consumed_by(decider).unjudged_events == 5


def test_a_batch_is_whole_when_every_partition_of_the_topic_says_so() -> None:
    decider = fresh(partitions=2)
    decider.begin_balance({})
    decider.take([delta(0, 10, 5), mark(NOON_US, 10)])
    assert consumed_by(decider).ranges == {log(): (0, 0)}
    assert consumed_by(decider).sums == MergedSums()
    other = replace(delta(0, 10, 7), partition=1)
    decider.take([other, replace(mark(NOON_US, 10), partition=1)])
    assert consumed_by(decider).ranges == {log(): (0, 10)}
    assert consumed_by(decider).sums == MergedSums(12, 6)


def test_after_a_week_it_begins_anew_where_it_has_come_to() -> None:
    decider = fresh()
    decider.begin_balance({})
    decider.take([delta(0, 10, 5), mark(NOON_US, 10)])
    late_us = NOON_US + 8 * DAY_US
    decider.take([delta(20, 30, 9, late_us), mark(late_us, 20), delta(10, 20, 1, late_us)])
    consumed = consumed_by(decider)
    assert (consumed.ranges, consumed.sums) == ({log(): (20, 20)}, MergedSums())
    decider.take([mark(late_us + MINUTE_US, 30)])
    assert consumed_by(decider).ranges == {log(): (20, 30)}
    assert consumed_by(decider).sums == MergedSums(9, 3)
    assert consumed_by(decider).since_us == late_us


def test_what_a_job_says_is_read_only_when_it_is_whole() -> None:
    for text in ("", "{}", "[]", '{"since_us": 1, "ranges": [[1]]}', "null"):
        with pytest.raises(ValueError, match="not what a detect job says"):
            Consumed.from_json(text)


def test_a_state_of_before_balances_were_kept_is_taken_up_and_begins_one() -> None:
    records = recorded()
    whole = fresh()
    whole.take(records[:41])
    parts = unpack(whole.to_bytes())
    head = json.loads(parts["head"])
    del head["balance"]
    merge = unpack(parts["merge"])
    del merge["sums"]
    opened = {
        name: frame if not name.endswith("/sums") else without_events(frame)
        for name, frame in unpack(merge["open"]).items()
    }
    merge["open"] = pack(opened)
    before = pack({**parts, "head": json.dumps(head).encode(), "merge": pack(merge)})
    decider = Decider.from_bytes(before, RULES, BUDGETS)
    decider.balance.partitions = (0,)
    assert decider.consumed() is None
    decider.begin_balance(decider.seen.ends())
    decider.take(records[41:])
    low, high = consumed_by(decider).ranges[log()]
    assert 0 < low < high
    assert consumed_by(decider).sums == of_ticks(low // 10, high // 10)


def without_events(frame: bytes) -> bytes:
    sink = io.BytesIO()
    pl.read_ipc(io.BytesIO(frame)).drop("events").write_ipc(sink)
    return sink.getvalue()
