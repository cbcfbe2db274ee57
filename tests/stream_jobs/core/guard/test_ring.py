"""The spend of a run's last minutes: exact sums whatever the order in which its steps arrive."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentide_jobs.core.guard.ring import SpendRing
from tokentide_jobs.core.guard.rules import BUCKET_US, RATE_WINDOWS_US, RING_US

T0 = 1_790_000_000_000_000 // BUCKET_US * BUCKET_US
MINUTE = 60_000_000


def peaks_by_hand(steps: list[tuple[int, int]]) -> tuple[int, ...]:
    ends = {at_us // BUCKET_US for at_us, _ in steps}
    return tuple(
        max(
            sum(cost for at_us, cost in steps if 0 <= end - at_us // BUCKET_US < span)
            for end in ends
        )
        for span in (window // BUCKET_US for window in RATE_WINDOWS_US)
    )


@given(
    st.lists(st.tuples(st.integers(0, 40 * MINUTE), st.integers(0, 10**14)), min_size=1),
    st.randoms(use_true_random=False),
)
def test_peaks_are_exact_for_every_order_with_steps_up_to_ten_minutes_late(
    steps: list[tuple[int, int]], rng: random.Random
) -> None:
    late = RING_US - max(RATE_WINDOWS_US) - BUCKET_US
    arrival = sorted(steps, key=lambda step: step[0] + rng.randrange(late))
    ring = SpendRing()
    highest = [ring.add(T0 + at_us, cost, 1) for at_us, cost in arrival]
    assert ring.peaks == peaks_by_hand([(T0 + at_us, cost) for at_us, cost in steps])
    assert ring.peaks == tuple(map(max, zip(*highest, strict=True)))


def test_a_step_answers_with_the_windows_that_hold_it() -> None:
    ring = SpendRing()
    assert ring.add(T0, 5, 1) == (5, 5)
    assert ring.add(T0 + 5 * MINUTE, 7, 1) == (7, 12)
    assert ring.add(T0 + 4 * MINUTE, 100, 2) == (107, 112)
    assert ring.add(T0 + 11 * MINUTE, 1, 1) == (1, 108)
    assert ring.recent_calls() == 4
    assert ring.peaks == (107, 112)


def test_a_step_more_than_ten_minutes_late_counts_in_no_window() -> None:
    ring = SpendRing()
    ring.add(T0 + 20 * MINUTE, 7, 1)
    assert ring.add(T0, 100, 1) == (0, 0)
    assert ring.peaks == (7, 7)


def test_memory_is_bounded_by_the_buckets_of_the_ring() -> None:
    ring = SpendRing()
    for second in range(0, 86_400, 5):
        ring.add(T0 + second * 1_000_000, 1, 1)
    assert len(ring.entries) == 3 * RING_US // BUCKET_US
    assert ring.peaks == (24, 120)


@pytest.mark.parametrize("cost", [(1 << 63) - 1, 1 << 70])
def test_absurd_amounts_stay_at_the_highest_number_instead_of_failing(cost: int) -> None:
    ring = SpendRing()
    ring.add(T0, cost, 1)
    ring.add(T0, cost, 1)
    assert ring.add(T0 + MINUTE, 1, 1)[0] == (1 << 63)
