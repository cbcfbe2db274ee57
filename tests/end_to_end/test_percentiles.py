"""Percentiles from histograms against exact ones, for any range and any subset of dimensions.

The percentile q of n values is the value of rank ceil(q * n), counted from 1 in ascending order
(the inverse of the empirical distribution function; nothing is interpolated), so it is one of the
values, also for n = 1, and ties need no rule. Buckets are intervals in the order of the values:
the bucket that holds this rank holds this value, and its representative is within 1 % of it
however few values there are. The exact side is computed from the stored rows by integer ranks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.end_to_end.replayed import replay_into
from tests.sampling import examples, share
from tests.stream_jobs.core.window.histogram_reading import representative
from tokentide_jobs.core.tables import DAY_US, WINDOW_LENGTH_S
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.core.window.histogram import buckets_of
from tokentide_jobs.io.clickhouse.client import ClickHouse

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

PERCENTS: Final = (50, 90, 95, 99)
VALUES: Final = {"latency_hist": "duration_ms", "ttft_hist": "ttft_ms"}
"""What each histogram counts."""


@dataclass(frozen=True)
class Question:
    """Percentiles of the requests of some windows, filtered and grouped."""

    start_s: int
    end_s: int
    filters: dict[str, list[str]]
    groups: tuple[str, ...]
    by_window: bool


class Replayed:
    """The traces in ClickHouse, and their rows as the exact side reads them."""

    def __init__(self, store: ClickHouse) -> None:
        self.store = store
        names = ", ".join(f"toString({name}) AS {name}" for name in DIMENSIONS)
        rows = pl.from_arrow(
            store.arrow(
                f"SELECT {names}, duration_ms, ttft_ms, started_at_us"
                f" FROM {store.database}.requests"
                " ORDER BY started_at_us, log_id, _partition, _offset, _idx"
            )
        )
        assert isinstance(rows, pl.DataFrame)
        self.rows = rows.with_columns(pl.col(DIMENSIONS).cast(pl.String))
        self.values = {name: sorted(self.rows[name].unique()) for name in DIMENSIONS}
        first, last = self.rows["started_at_us"][0], self.rows["started_at_us"][-1]
        self.first_s, self.last_s = first // 1_000_000, last // 1_000_000


@pytest.fixture(scope="module")
def replayed(sql_server: str, sql_client: Client) -> Iterator[Replayed]:
    # Recorded hours and days, ending at a midnight: the same windows whenever this runs.
    today_us = time.time_ns() // 1000 // DAY_US * DAY_US
    assert sql_client.database is not None
    store = ClickHouse(sql_server, sql_client.database)
    events = replay_into(store, "sessions", today_us, "sessions")
    # This hour of dense traffic straddles a midnight.
    events += replay_into(store, "mixed", today_us - 2 * DAY_US + DAY_US // 48, "mixed")
    (counts,) = store.rows(
        "SELECT "
        + ", ".join(f"(SELECT sum(events) FROM {store.database}.{t})" for t in WINDOW_LENGTH_S)
    )
    assert set(counts) == {events}
    yield Replayed(store)
    store.close()


@st.composite
def questions(draw: st.DrawFn, replayed: Replayed, table: str) -> Question:
    """Draw a question around a request that occurred, so that some answer exists."""
    # Whole windows of this table or of a coarser one.
    width_s = draw(
        st.sampled_from([s for s in WINDOW_LENGTH_S.values() if s >= WINDOW_LENGTH_S[table]])
    )
    anchor = replayed.rows.row(draw(st.integers(0, replayed.rows.height - 1)), named=True)
    window = anchor["started_at_us"] // 1_000_000 // width_s
    few = st.integers(0, 20)
    before = draw(few | st.integers(0, window - replayed.first_s // width_s))
    after = draw(few | st.integers(0, replayed.last_s // width_s - window))
    filters = {
        name: sorted({anchor[name], *draw(st.sets(st.sampled_from(replayed.values[name])))})
        for name in sorted(draw(st.sets(st.sampled_from(DIMENSIONS), max_size=4)))
    }
    return Question(
        start_s=(window - before) * width_s,
        end_s=(window + 1 + after) * width_s,
        filters=filters,
        groups=tuple(sorted(draw(st.sets(st.sampled_from(DIMENSIONS), max_size=5)))),
        by_window=draw(st.booleans()),
    )


def from_histograms(store: ClickHouse, table: str, question: Question) -> pl.DataFrame:
    """Ask the window table, as an analyst would."""
    keys = ["1 AS whole", *question.groups]
    if question.by_window:
        keys.append("toUnixTimestamp(window_start) AS window_s")
    answers = ["sum(requests) AS requests", "sum(ttft_count) AS ttft_count"]
    for name in VALUES:
        answers.append(f"arraySum(mapValues(sumMap({name}))) AS {name}_count")
        answers += [f"p{p}_from_hist(sumMap({name})) AS {name}_p{p}" for p in PERCENTS]
    conditions = ["window_start >= {start_s:UInt32}", "window_start < {end_s:UInt32}"]
    conditions += [f"{name} IN {{{name}:Array(String)}}" for name in question.filters]
    found = pl.from_arrow(
        store.arrow(
            f"SELECT {', '.join([*keys, *answers])} FROM {store.database}.{table}"
            f" WHERE {' AND '.join(conditions)}"
            f" GROUP BY whole{''.join(', ' + key.split()[-1] for key in keys[1:])}"
            # Series of evaluations, feedback and changes alone have no latency.
            " HAVING requests > 0",
            {"start_s": question.start_s, "end_s": question.end_s, **question.filters},
        )
    )
    assert isinstance(found, pl.DataFrame)
    return found.with_columns(pl.col(question.groups).cast(pl.String))


def exactly(rows: pl.DataFrame, table: str, question: Question) -> pl.DataFrame:
    """Answer from the rows themselves: count, and the value of every rank."""
    at = pl.col("started_at_us")
    chosen = rows.filter(
        at >= question.start_s * 1_000_000,
        at < question.end_s * 1_000_000,
        *(pl.col(name).is_in(values) for name, values in question.filters.items()),
    )
    keys = [pl.lit(1).alias("whole"), *map(pl.col, question.groups)]
    if question.by_window:
        width_s = WINDOW_LENGTH_S[table]
        keys.append((at // (width_s * 1_000_000) * width_s).alias("window_s"))
    answers = []
    for name, column in VALUES.items():
        value = pl.col(column)
        count = value.count().cast(pl.Int64)
        answers.append(count.alias(f"{name}_count"))
        for percent in PERCENTS:
            rank = (percent * count + 99) // 100  # ceil(q * n), in integers
            ranked = value.drop_nulls().sort().get(rank - 1, null_on_oob=True)
            answers.append(pl.when(count > 0).then(ranked).alias(f"{name}_p{percent}"))
    return chosen.group_by(keys).agg(pl.len().alias("requests"), *answers)


def representatives(values: pl.Series) -> pl.Series:
    """Return what a histogram can say at best of each value: the representative of its bucket."""
    buckets = buckets_of(values.fill_null(0.0).to_numpy())
    return pl.Series(map(representative, buckets.tolist()), dtype=pl.Float64)


@pytest.mark.parametrize("table", share(list(WINDOW_LENGTH_S), 3))
def test_percentiles_are_within_one_per_cent_of_exact_ones_for_any_range_and_dimensions(
    replayed: Replayed, table: str
) -> None:
    asked, compared = [], []

    @settings(
        max_examples=examples(12),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(questions(replayed, table))
    def check(question: Question) -> None:
        found = from_histograms(replayed.store, table, question)
        exact = exactly(replayed.rows, table, question)
        keys = ["whole", *question.groups, *(["window_s"] if question.by_window else [])]
        both = exact.join(found, on=keys, how="full", suffix="_hist", coalesce=True)
        assert exact.height == found.height == both.height > 0
        assert both["requests"].equals(both["requests_hist"].cast(both["requests"].dtype))
        assert (both["ttft_hist_count"] == both["ttft_count"]).all()
        for name in VALUES:
            assert (both[f"{name}_count"] == both[f"{name}_count_hist"]).all()
            for percent in PERCENTS:
                wanted, answer = both[f"{name}_p{percent}"], both[f"{name}_p{percent}_hist"]
                assert wanted.is_null().equals(answer.is_null()), "NULL where nothing was measured"
                error = (answer - wanted).abs()
                assert (error.drop_nulls() <= 0.01 * wanted.drop_nulls() * (1 + 1e-9)).all()
                # The same rank, not merely a near one: the very bucket of the exact value.
                best = representatives(wanted)
                assert np.allclose(
                    answer.drop_nulls().to_numpy(),
                    best.filter(wanted.is_not_null()).to_numpy(),
                    rtol=1e-12,
                    atol=0,
                )
                compared.append(wanted.count())
        asked.append(exact["requests"].sum())

    check()
    assert len(asked) >= 10
    # The draw reaches from parts of the traces to the most of them.
    assert min(asked) * 4 < replayed.rows.height
    assert max(asked) > replayed.rows.height / 2
    assert sum(compared) > 500
