"""Quantiles of many histograms at once equal those of each by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tests.stream_jobs.core.window.histogram_reading import quantile as quantile_of_one
from tokentide_jobs.core.detect.quantiles import quantile
from tokentide_jobs.core.window.histogram import ZERO_BUCKET

ENTRIES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.one_of(st.just(ZERO_BUCKET), st.integers(-20, 900)),
        st.integers(1, 50),
    ),
    max_size=40,
)


@settings(max_examples=examples(100), deadline=None)
@given(ENTRIES, st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_each_row_has_the_quantile_of_its_own_histogram(
    entries: list[tuple[int, int, int]], q: float
) -> None:
    rows, buckets, counts = (
        np.array([entry[place] for entry in entries], np.int64) for place in range(3)
    )
    values = quantile(rows, buckets, counts, 5, q)
    for row, value in enumerate(values):
        histogram: dict[int, int] = {}
        for entry_row, bucket, count in entries:
            if entry_row == row:
                histogram[bucket] = histogram.get(bucket, 0) + count
        expected = quantile_of_one(histogram, q)
        assert np.isnan(value) if expected is None else np.isclose(value, expected)
