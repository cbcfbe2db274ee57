"""The SQL functions return what they promise: money as text, percentiles of histograms."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable

import pytest
from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

GAMMA = 1.01 / 0.99
ZERO_BUCKET = -32768
LEVELS = (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def _bucket(value: float) -> int:
    return ZERO_BUCKET if value == 0 else math.ceil(math.log(value) / math.log(GAMMA))


def _histogram(values: Iterable[float]) -> str:
    counts = Counter(map(_bucket, values))
    pairs = ", ".join(f"{bucket}, {count}" for bucket, count in counts.items())
    return f"CAST(map({pairs}), 'Map(Int16, UInt64)')"


def _exact(values: list[float], level: float) -> float:
    return sorted(values)[max(1, math.ceil(level * len(values) - 1e-9)) - 1]


@pytest.mark.parametrize("seed", range(6))
def test_any_quantile_is_within_one_percent_of_the_exact_one(sql_client: Client, seed: int) -> None:
    rng = random.Random(seed)
    values = [
        0.0 if rng.random() < 0.05 * seed else rng.lognormvariate(seed, 2.0)
        for _ in range(rng.choice((1, 2, 10, 1000, 5000)))
    ]
    answers = sql_client.query(
        f"SELECT quantile_from_hist({_histogram(values)}, arrayJoin({list(LEVELS)}))"
    ).result_columns[0]
    for level, answer in zip(LEVELS, answers, strict=True):
        assert answer == pytest.approx(_exact(values, level), rel=0.01 + 1e-9), level


def test_the_named_percentiles_are_the_quantiles_of_their_names(sql_client: Client) -> None:
    histogram = _histogram(float(v) for v in range(1, 1001))
    row = sql_client.query(
        f"WITH {histogram} AS h SELECT p50_from_hist(h), p90_from_hist(h), p95_from_hist(h),"
        " p99_from_hist(h), quantile_from_hist(h, 0.5), quantile_from_hist(h, 0.9),"
        " quantile_from_hist(h, 0.95), quantile_from_hist(h, 0.99)"
    ).result_rows[0]
    assert row[:4] == row[4:]
    assert row[:4] == pytest.approx((500, 900, 950, 990), rel=0.01)


def test_an_empty_histogram_has_no_percentile(sql_client: Client) -> None:
    sql = (
        "SELECT p95_from_hist(CAST(map(), 'Map(Int16, UInt64)')), p50_from_hist(sumMap(ttft_hist))"
        " FROM windows_1m"
    )
    assert sql_client.query(sql).result_rows[0] == (None, None)


def test_zeros_have_a_bucket_of_their_own(sql_client: Client) -> None:
    histogram = _histogram([0.0] * 3 + [1e-6, 5.0])
    answers = sql_client.query(
        f"SELECT quantile_from_hist({histogram}, arrayJoin([0.1, 0.6, 0.8, 1.0]))"
    ).result_columns[0]
    assert list(answers) == [0, 0, pytest.approx(1e-6, rel=0.01), pytest.approx(5, rel=0.01)]


def test_percentiles_of_merged_windows_equal_those_of_all_values_together(
    sql_client: Client,
) -> None:
    rng = random.Random(3)
    parts = [[rng.lognormvariate(6, 1) for _ in range(200)] for _ in range(5)]
    union = " UNION ALL ".join(f"SELECT {_histogram(part)} AS h" for part in parts)
    together = _histogram(v for part in parts for v in part)
    merged, direct = sql_client.query(
        f"SELECT p95_from_hist(sumMap(h)), p95_from_hist({together}) FROM ({union})"
    ).result_rows[0]
    assert merged == direct


def test_dollars_from_pico_dollars_are_exact_to_the_last_digit(sql_client: Client) -> None:
    rows = sql_client.query(
        "SELECT toString(usd_from_pico(x)) FROM (SELECT arrayJoin([toInt128('0'), toInt128('1'),"
        " toInt128('-999999999999'), toInt128('92233720368547758070000000001')]) AS x)"
    ).result_columns[0]
    assert list(rows) == [
        "0",
        "0.000000000001",
        "-0.999999999999",
        "92233720368547758.070000000001",
    ]
    assert sql_client.command("SELECT usd_from_pico(CAST(NULL, 'Nullable(Int64)')) IS NULL") == 1
