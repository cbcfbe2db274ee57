"""Windows close once, whole, and the same for every order, split and repetition of their deltas."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tests.stream_jobs.core.merge.delta_records import MINUTE_US, NOON_US, TOPIC, window_rows
from tests.stream_jobs.core.merge.merge_stream import (
    COST,
    P95,
    REQUESTS,
    SECOND_US,
    SETTLE_US,
    Stream,
    row,
    same,
    values,
)
from tokentide_jobs.core.merge.completeness import GIVEN_UP_US

ROWS = st.lists(
    st.builds(
        row,
        minute=st.integers(0, 17).map(lambda n: n / 6),
        tenant=st.sampled_from(["acme", "globex", ""]),
        requests=st.integers(1, 1_000),
        cost_pico_usd=st.integers(0, 10**17),
        input_tokens=st.integers(0, 10**6),
        errors=st.integers(0, 3),
        latency_hist=st.lists(
            st.fixed_dictionaries({"key": st.integers(-5, 5), "value": st.integers(1, 9)}),
            max_size=4,
        ),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(5), deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_any_order_and_split_of_deltas_closes_the_same_windows(
    rows: list[dict[str, Any]], chance: random.Random
) -> None:
    whole, split = Stream(), Stream()
    for stream in (whole, split):
        stream.mark(NOON_US)
    whole.add(window_rows(rows))
    shuffled = rows[:]
    chance.shuffle(shuffled)
    while shuffled:
        size = chance.randint(1, len(shuffled))
        split.add(window_rows(shuffled[:size]))
        shuffled = shuffled[size:]
        if chance.random() < 0.3:
            restored = Stream()
            restored.merge.restore(split.merge.to_bytes())
            split.merge = restored.merge
    for stream in (whole, split):
        stream.marks(NOON_US, NOON_US + 4 * MINUTE_US)
    assert whole.starts == [0, 1, 2]
    assert same(whole.closed, split.closed)
    requests = sum(
        values(one, "tenant=acme")[REQUESTS]
        for one in whole.closed
        if "tenant=acme" in one.sums.keys
    )
    assert requests == sum(one["requests"] for one in rows if one["tenant"] == "acme")


@settings(max_examples=examples(3), deadline=None)
@given(ROWS)
def test_what_comes_later_changes_no_window_that_has_closed(rows: list[dict[str, Any]]) -> None:
    short, long = Stream(), Stream()
    for stream, minutes in ((short, 2), (long, 4)):
        stream.mark(NOON_US)
        stream.add(window_rows(rows))
        stream.marks(NOON_US, NOON_US + minutes * MINUTE_US)
        stream.add(window_rows([row(0, requests=5), row(3)]))
    assert same(short.closed, long.closed[: len(short.closed)])
    assert len(short.closed) < len(long.closed)


def test_a_window_is_the_sum_of_its_deltas_by_every_level() -> None:
    stream = Stream()
    stream.mark(NOON_US)
    hist = [{"key": 250, "value": 19}, {"key": 400, "value": 1}]
    stream.add(window_rows([row(0, requests=20, cost_pico_usd=3 * 10**12, latency_hist=hist)]))
    stream.add(window_rows([row(0.5, "globex", 4, cost_pico_usd=10**12), row(1, requests=9)]))
    stream.marks(NOON_US, NOON_US + 2 * MINUTE_US)
    window = stream.closed[0]
    assert window.sums.keys == [
        "tenant=acme", "tenant=acme, model=m", "tenant=globex", "tenant=globex, model=m",
    ]  # fmt: skip
    assert values(window, "tenant=acme")[REQUESTS] == 20
    assert values(window, "tenant=acme")[COST] == 3
    assert values(window, "tenant=acme")[P95] == pytest.approx(1.02**250, rel=0.2)
    assert values(window, "tenant=globex, model=m")[REQUESTS] == 4


def test_a_window_without_an_event_closes_as_an_observed_zero() -> None:
    stream = Stream()
    stream.marks(NOON_US, NOON_US + 3 * MINUTE_US)
    assert stream.starts == [0, 1]
    assert stream.closed[0].sums.keys == []


def test_a_window_closes_with_the_mark_that_passes_its_end_and_what_was_under_way() -> None:
    stream = Stream()
    stream.marks(NOON_US, NOON_US + MINUTE_US)
    stream.mark(NOON_US + MINUTE_US + SETTLE_US - 1)
    assert stream.starts == []
    stream.mark(NOON_US + MINUTE_US + SETTLE_US)
    assert stream.starts == [0]


def test_an_idle_source_holds_nothing_back() -> None:
    stream = Stream(2)
    stream.mark(NOON_US, source=1)
    for now_us in range(NOON_US, NOON_US + MINUTE_US + SETTLE_US + 1, SECOND_US):
        # Nothing arrives at source 1: its marks come every five seconds, and state that.
        if now_us % (5 * SECOND_US) == SETTLE_US:
            stream.mark(now_us, source=1)
        stream.mark(now_us, source=0)
    assert stream.starts == [0]


@pytest.mark.parametrize("seed", range(examples(1)))
def test_every_call_counts_once_however_long_it_lasts(seed: int) -> None:
    chance = random.Random(seed)
    stream, calls = Stream(), []
    for _ in range(60):
        began_us = NOON_US + chance.randrange(5 * MINUTE_US)
        seconds = chance.choice([1, 15, 70, 290, 400])
        calls.append((began_us + seconds * SECOND_US, began_us, seconds))
    stream.mark(NOON_US)
    for now_us in range(NOON_US, NOON_US + 14 * MINUTE_US, 5 * SECOND_US):
        ended = [row((began_us - NOON_US) / MINUTE_US) for end_us, began_us, _seconds in calls
                 if now_us <= end_us < now_us + 5 * SECOND_US]  # fmt: skip
        if ended:
            stream.add(window_rows(ended))
        if chance.random() < 0.2:
            restored = Stream()
            restored.merge.restore(stream.merge.to_bytes())
            stream.merge = restored.merge
        stream.mark(now_us + 5 * SECOND_US)
    counted = [
        values(window, "tenant=acme")[REQUESTS] if window.sums.keys else 0
        for window in stream.closed
    ]
    assert sum(counted) == sum(seconds < 300 for _end, _began, seconds in calls)
    assert stream.merge.late_requests == sum(seconds > 300 for _end, _began, seconds in calls)
    assert stream.merge.carried_requests > 10
    assert stream.merge.given_up == 0


def test_a_call_counts_where_it_began_while_that_window_is_open_and_else_in_the_next() -> None:
    stream = Stream()
    stream.marks(NOON_US, NOON_US + MINUTE_US)
    stream.add(window_rows([row(0.5, requests=3)]))
    stream.mark(NOON_US + MINUTE_US + SETTLE_US)
    hist = [{"key": 500, "value": 2}]
    stream.add(window_rows([row(0.5, requests=2, cost_pico_usd=10**12, latency_hist=hist)]))
    stream.marks(NOON_US + MINUTE_US + 10 * SECOND_US, NOON_US + 2 * MINUTE_US + 10 * SECOND_US)
    first, second = (values(window, "tenant=acme") for window in stream.closed)
    assert (first[REQUESTS], second[REQUESTS]) == (3, 2)
    assert (second[COST], second[P95]) == (1, pytest.approx(1.02**500, rel=0.2))
    assert (stream.merge.carried_requests, stream.merge.late_requests) == (2, 0)


def test_a_backfill_counts_in_no_window() -> None:
    stream = Stream()
    stream.marks(NOON_US, NOON_US + 8 * MINUTE_US)
    stream.add(window_rows([row(2, requests=9)]))
    stream.marks(NOON_US + 8 * MINUTE_US, NOON_US + 10 * MINUTE_US)
    assert all(window.sums.keys == [] for window in stream.closed)
    assert (stream.merge.carried_requests, stream.merge.late_requests) == (0, 9)


def test_after_a_short_silence_windows_wait_for_what_producers_have_kept() -> None:
    stream = Stream()
    stream.marks(NOON_US, NOON_US + 30 * SECOND_US)
    back_us = NOON_US + MINUTE_US + SECOND_US
    stream.mark(back_us)
    assert stream.starts == [], "half of this window may be in producers still"
    stream.add(window_rows([row(0.5, requests=4)]))
    stream.marks(back_us, back_us + 20 * SECOND_US)
    assert stream.starts == [0]
    assert values(stream.closed[0], "tenant=acme")[REQUESTS] == 4


def test_a_source_that_lags_holds_windows_back_and_its_events_still_count() -> None:
    stream = Stream(2)
    for now_us in range(NOON_US, NOON_US + 2 * MINUTE_US, 10_000_000):
        stream.mark(now_us, source=0)
        stream.mark(NOON_US, now_us=now_us, source=1)
    assert stream.starts == []
    stream.add(window_rows([row(0, requests=7)]))
    stream.mark(NOON_US + 2 * MINUTE_US, source=1)
    assert stream.starts == [0]
    assert values(stream.closed[0], "tenant=acme")[REQUESTS] == 7


def test_a_source_that_was_never_heard_of_is_waited_for() -> None:
    stream = Stream(2)
    stream.marks(NOON_US, NOON_US + 3 * MINUTE_US, source=0)
    assert stream.starts == []
    assert stream.merge.closed_until_us == -1


def test_a_window_that_is_never_complete_is_given_up_and_not_judged() -> None:
    stream = Stream(2)
    for source in (0, 1):
        stream.mark(NOON_US, source=source)
    stream.add(window_rows([row(0)]))
    last_us = NOON_US + MINUTE_US + SETTLE_US + GIVEN_UP_US
    for now_us in range(NOON_US, last_us + 10_000_000, 10_000_000):
        stream.mark(now_us, source=0)
        stream.mark(NOON_US, now_us=now_us, source=1)
    assert stream.starts == []
    assert stream.merge.given_up == 1
    assert stream.merge.closed_until_us == NOON_US + MINUTE_US
    stream.add(window_rows([row(0, requests=3)]))
    assert stream.merge.late_requests == 3


def test_a_source_that_is_gone_for_good_is_no_longer_waited_for() -> None:
    stream = Stream(2)
    for source in (0, 1):
        stream.mark(NOON_US, source=source)
    stream._sources = {TOPIC: 1}
    stream.marks(NOON_US, NOON_US + 20 * MINUTE_US, source=0)
    assert stream.starts[-1] == 18


def test_an_outage_of_the_pipeline_is_no_lost_traffic() -> None:
    stream = Stream()
    stream.marks(NOON_US, NOON_US + 2 * MINUTE_US)
    back_us = NOON_US + 30 * MINUTE_US
    stream.add(window_rows([row(28, requests=2)]))
    stream.marks(back_us, back_us + 6 * MINUTE_US)
    judged = stream.starts
    assert judged[0] == 0
    assert not [minute for minute in judged if 1 < minute < 32], judged
    assert judged[-1] == 34


def test_a_topic_that_was_made_anew_begins_anew() -> None:
    stream = Stream()
    stream.marks(NOON_US, NOON_US + 2 * MINUTE_US)
    stream.mark(None, now_us=NOON_US + 2 * MINUTE_US, log_id="log-2")
    assert stream.progress.complete_us() == -1
    stream.mark(NOON_US + 3 * MINUTE_US, log_id="log-2")
    assert stream.progress.complete_us() == NOON_US + 3 * MINUTE_US


def test_windows_before_the_first_mark_were_not_watched() -> None:
    stream = Stream()
    stream.add(window_rows([row(0), row(1)]))
    stream.marks(NOON_US + MINUTE_US // 2, NOON_US + 4 * MINUTE_US)
    assert stream.starts == [1, 2]


def test_series_that_no_window_holds_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokentide_jobs.core.merge.open_windows._FEWEST_PRUNED", 4)
    stream, kept = Stream(), Stream()
    minutes: Sequence[int] = range(7)
    for one in (stream, kept):
        one.mark(NOON_US)
        for minute in minutes:
            one.add(window_rows([row(minute, f"t{minute}-{n}", minute + n + 1) for n in range(3)]))
            if one is kept:
                monkeypatch.setattr("tokentide_jobs.core.merge.open_windows._FEWEST_PRUNED", 10**6)
            one.marks(NOON_US + minute * MINUTE_US, NOON_US + (minute + 1) * MINUTE_US)
    assert len(stream.merge.to_bytes()) < len(kept.merge.to_bytes())
    assert same(stream.closed, kept.closed)
    assert len(stream.closed) == 6


def test_windows_do_not_pile_up_while_a_source_says_nothing() -> None:
    stream = Stream(sources=2)
    for minute in range(10):
        stream.add(window_rows([row(minute)]))
        stream.mark(NOON_US + (minute + 1) * MINUTE_US)
    assert stream.closed == []
    assert stream.merge.given_up == 10 - 4, "those that end three minutes before the present"
    for source in (0, 1):
        stream.mark(NOON_US + 11 * MINUTE_US, source=source)
    assert stream.merge.closed_until_us == NOON_US + 11 * MINUTE_US
