"""Stored windows come to what the stream closes, and teach detectors what it would have."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tests.stream_jobs.core.merge.delta_records import MINUTE_US, NOON_US, at, window_rows
from tokentide_jobs.core.merge.key_levels import DEFAULT_LEVELS
from tokentide_jobs.core.merge.open_windows import WANTED, OpenWindows
from tokentide_jobs.core.merge.stored_windows import stored_windows

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "window_start": st.integers(0, 12).map(lambda n: at(NOON_US + n * 30_000_000)),
            "tenant": st.sampled_from(["acme", "globex, model=x", "globex", ""]),
            "model": st.sampled_from(["m", "n", ""]),
            "requests": st.integers(1, 1_000),
            "cost_pico_usd": st.integers(0, 10**17),
            "input_tokens": st.integers(0, 10**6),
            "latency_hist": st.lists(
                st.fixed_dictionaries({"key": st.integers(-5, 5), "value": st.integers(1, 9)}),
                max_size=3,
            ),
        }
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=examples(5))
@given(ROWS, st.sampled_from([10_000_000, MINUTE_US]), st.randoms(use_true_random=False))
def test_stored_windows_are_the_ones_that_the_stream_closes(
    rows: Sequence[dict[str, Any]], length_us: int, chance: random.Random
) -> None:
    deltas = window_rows(list(rows)).select(list(WANTED))
    opened = OpenWindows()
    opened.add(deltas)
    shuffled = deltas.sample(fraction=1.0, shuffle=True, seed=chance.randrange(1 << 30))
    stored = list(stored_windows(shuffled, DEFAULT_LEVELS, length_us))
    starts = {start_us // length_us * length_us for start_us in opened.starts}
    assert [one.start_us for one in stored] == sorted(starts)
    for one in stored:
        assert one.length_us == length_us
        closed = opened.sums(one.start_us, one.start_us + length_us, DEFAULT_LEVELS)
        assert list(one.sums.keys) == list(closed.keys)
        assert np.array_equal(one.sums.values, closed.values, equal_nan=True)
        assert np.array_equal(one.sums.counts, closed.counts)
        assert np.array_equal(one.sums.cost_usd, closed.cost_usd)


def test_rows_of_no_key_make_a_window_without_keys() -> None:
    rows = window_rows([{"window_start": at(NOON_US), "requests": 3}]).select(list(WANTED))
    [window] = stored_windows(rows, DEFAULT_LEVELS, MINUTE_US)
    assert (window.start_us, list(window.sums.keys)) == (NOON_US, [])
    assert list(stored_windows(rows.clear(), DEFAULT_LEVELS, MINUTE_US)) == []
