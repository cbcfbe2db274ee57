"""Windows of ten seconds are views of the open minute: they change none, and miss no call."""

from __future__ import annotations

import json
import random
from collections import defaultdict

import pytest

from tests.each import each
from tests.sampling import examples
from tests.stream_jobs.core.merge.delta_records import MINUTE_US, NOON_US, window_rows
from tests.stream_jobs.core.merge.merge_stream import (
    REQUESTS,
    SECOND_US,
    SETTLE_US,
    Stream,
    row,
    same,
)
from tokentide_jobs.core.merge.completeness import GIVEN_UP_US
from tokentide_jobs.core.merge.packing import pack, unpack
from tokentide_jobs.core.merge.window_merge import FAST_US, MergedWindow

LEVELS = (("tenant",),)


def of_length(stream: Stream, length_us: int) -> list[MergedWindow]:
    return [one for one in stream.closed if one.length_us == length_us]


def requests(window: MergedWindow) -> int:
    """Return how many requests of tenants a window holds."""
    return sum(
        int(count)
        for key, count in zip(window.sums.keys, window.sums.counts[REQUESTS].tolist(), strict=True)
        if key == "tenant=acme"
    )


def second(window: MergedWindow) -> int:
    return (window.start_us - NOON_US) // SECOND_US


@pytest.mark.parametrize("seed", range(examples(1)))
def test_every_call_counts_once_by_ten_seconds_and_no_minute_is_another_for_it(seed: int) -> None:
    chance = random.Random(seed)
    with_fast, without, calls = Stream(fast_levels=LEVELS), Stream(), []
    for _ in range(50):
        began_us = NOON_US + chance.randrange(4 * MINUTE_US)
        calls.append((began_us + chance.choice([1, 4, 15, 40, 70, 290]) * SECOND_US, began_us))
    for stream in (with_fast, without):
        stream.mark(NOON_US)
    for now_us in range(NOON_US, NOON_US + 10 * MINUTE_US, 4 * SECOND_US):
        ended = [row((began_us - NOON_US) / MINUTE_US) for end_us, began_us in calls
                 if now_us <= end_us < now_us + 4 * SECOND_US]  # fmt: skip
        for stream in (with_fast, without):
            if ended:
                stream.add(window_rows(ended))
        if chance.random() < 0.2:
            restored = Stream(fast_levels=LEVELS)
            restored.merge.restore(with_fast.merge.to_bytes())
            assert restored.merge.to_bytes() == with_fast.merge.to_bytes()
            with_fast.merge = restored.merge
        for stream in (with_fast, without):
            stream.mark(now_us + 4 * SECOND_US)
    minutes, fast = of_length(with_fast, MINUTE_US), of_length(with_fast, FAST_US)
    assert same(minutes, without.closed)
    assert [second(one) for one in fast[: 6 * len(minutes)]] == list(range(0, 540, 10))
    by_minute: dict[int, int] = defaultdict(int)
    for one in fast:
        by_minute[one.start_us // MINUTE_US * MINUTE_US] += requests(one)
    assert [by_minute[one.start_us] for one in minutes] == [requests(one) for one in minutes]
    assert sum(map(requests, minutes)) == len(calls)
    assert with_fast.merge.held == without.merge.held


def test_ten_seconds_close_with_the_mark_that_passes_their_end_and_say_what_they_hold() -> None:
    stream = Stream(fast_levels=LEVELS)
    stream.mark(NOON_US)
    stream.add(window_rows([row(0, requests=4), row(0.17, requests=3)]))
    stream.mark(NOON_US + FAST_US + SETTLE_US - 1)
    assert stream.closed == []
    stream.mark(NOON_US + FAST_US + SETTLE_US)
    assert [(second(one), requests(one)) for one in stream.closed] == [(0, 4)]
    assert stream.closed[0].sums.values[REQUESTS].tolist() == [24.0], "requests a minute"
    assert stream.closed[0].sums.keys == ["tenant=acme"], "by these levels only"
    stream.add(window_rows([row(0, requests=2)]))  # late: it counts in the ten seconds now open
    stream.marks(NOON_US + 20 * SECOND_US, NOON_US + 40 * SECOND_US)
    assert [(second(one), requests(one)) for one in stream.closed] == [(0, 4), (10, 5), (20, 0)]


def test_ten_seconds_that_were_given_up_are_not_judged_and_their_calls_count_in_the_minute() -> (
    None
):
    stream = Stream(2, LEVELS)
    for source in (0, 1):
        stream.mark(NOON_US, source=source)
    stream.add(window_rows([row(0, requests=5)]))
    late_us = NOON_US + FAST_US + SETTLE_US + GIVEN_UP_US
    for now_us in range(NOON_US + FAST_US, late_us + SECOND_US, 10 * SECOND_US):
        stream.mark(now_us, source=0)
        stream.mark(NOON_US, now_us=now_us, source=1)
    stream.mark(late_us, source=0)
    assert (stream.closed, stream.merge.fast_until_us) == ([], NOON_US + FAST_US)
    stream.add(window_rows([row(0, requests=7)]))
    stream.mark(late_us + SECOND_US, source=1)
    assert [(second(one), requests(one)) for one in of_length(stream, FAST_US)[:2]] == [
        (10, 0), (20, 0),
    ]  # fmt: skip
    assert [requests(one) for one in of_length(stream, MINUTE_US)][:1] == [12]


@each("minutes_held", [1, 2])
def test_a_state_of_before_there_were_ten_seconds_begins_after_the_minutes_that_it_holds(
    minutes_held: int,
) -> None:
    before, after = Stream(), Stream(fast_levels=LEVELS)
    before.marks(NOON_US, NOON_US + 80 * SECOND_US)
    # It has the rows of a minute at its start, and of more than one minute where ingest lags.
    before.add(window_rows([row(1 + n, requests=6) for n in range(minutes_held)]))
    parts = unpack(before.merge.to_bytes())
    old = pack({**parts, "counts": json.dumps(json.loads(parts["counts"])[:5]).encode()})
    after.merge.restore(old)
    after.progress = before.progress
    after.marks(NOON_US + 90 * SECOND_US, NOON_US + 210 * SECOND_US)
    assert [requests(one) for one in of_length(after, MINUTE_US)] == [6, 6 * (minutes_held - 1)]
    begins_s = 60 + 60 * minutes_held
    assert [second(one) for one in of_length(after, FAST_US)] == list(range(begins_s, 200, 10))
