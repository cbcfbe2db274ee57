"""Buckets with one per cent relative error that add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream_jobs.core.window.histogram_reading import quantile, representative
from tokentide_jobs.core.window.histogram import (
    GAMMA,
    HISTOGRAM,
    RELATIVE_ERROR,
    SMALLEST,
    ZERO_BUCKET,
    buckets_of,
    histograms_of,
)


def bucket(value: float) -> int:
    return int(buckets_of(np.array([value]))[0])


@given(st.floats(SMALLEST, 1e19))
def test_a_value_is_within_one_per_cent_of_its_representative(value: float) -> None:
    assert abs(representative(bucket(value)) - value) <= value * RELATIVE_ERROR * (1 + 1e-9)


@given(st.floats(1e-6, 1e15), st.floats(1e-6, 1e15))
def test_buckets_keep_the_order_of_values(left: float, right: float) -> None:
    assert (bucket(left) <= bucket(right)) == (left <= right) or bucket(left) == bucket(right)


def test_a_bucket_includes_its_upper_bound_and_excludes_its_lower() -> None:
    assert bucket(1.0) == 0
    assert bucket(math.nextafter(1.0, 2)) == 1
    for exponent in (-40, -1, 1, 7, 500, 1500):
        bound = GAMMA**exponent
        assert bucket(bound * (1 - 1e-12)) == exponent
        assert bucket(bound * (1 + 1e-12)) == exponent + 1


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, 1e-10])
def test_zero_and_what_is_as_good_as_zero_have_a_bucket_of_their_own(value: float) -> None:
    assert bucket(value) == ZERO_BUCKET
    assert representative(ZERO_BUCKET) == 0.0


def test_absurdly_large_values_share_the_last_bucket() -> None:
    assert bucket(1e300) == bucket(2.0**64)


def test_histograms_are_counted_per_group_and_sorted_by_bucket() -> None:
    groups = np.array([2, 0, 2, 2, 0])
    histograms = histograms_of(groups, np.array([5, ZERO_BUCKET, 5, -3, 7]), 4)
    assert histograms.dtype == HISTOGRAM
    assert [[tuple(entry.values()) for entry in one] for one in histograms.to_list()] == [
        [(ZERO_BUCKET, 1), (7, 1)],
        [],
        [(-3, 1), (5, 2)],
        [],
    ]


def test_no_values_give_empty_histograms() -> None:
    nothing = np.array([], np.int64)
    assert histograms_of(nothing, nothing, 2).to_list() == [[], []]


def test_quantiles_follow_the_rank() -> None:
    histogram = {ZERO_BUCKET: 5, 10: 4, 20: 1}
    assert quantile(histogram, 0.5) == 0.0
    assert quantile(histogram, 0.51) == representative(10)
    assert quantile(histogram, 0.9) == representative(10)
    assert quantile(histogram, 1.0) == representative(20)
    assert quantile({}, 0.5) is None
