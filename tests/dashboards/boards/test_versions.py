"""Intervals of *Two versions side by side* hold the true value about as often as they state.

Four hundred versions of a prompt are drawn from one known world, an hour of each; calls of a minute
vary together, as they do in life.
"""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from tests.dashboards.test_boards import span
from tests.sql.cookbook_calls import NOW
from tokentide_dashboards.boards import versions
from tokentide_dashboards.check.browser import ALL, expand
from tokentide_dashboards.kit.query import with_names
from tokentide_dashboards.kit.variable import SCOPE_NAMES

pytestmark = pytest.mark.integration

VERSIONS, MINUTES, CALLS_A_MINUTE = 400, 60, 12
FAILED, COST_PICO_USD, MEDIAN_MS, SPREAD = 0.02, 2_000_000_000, 800.0, 0.5
Z95 = 1.6448536269514722
TRUE = {
    "Cost per 1,000 calls, $": COST_PICO_USD / 1e9,
    "Calls that failed, %": 100 * FAILED,
    "Latency p50, ms": MEDIAN_MS,
    "Latency p95, ms": MEDIAN_MS * math.exp(SPREAD * Z95),
}
OF_A_BUCKET = 1.0101
"""A percentile stands for the values of its bucket, within 1 %."""


def store(client: Client) -> None:
    """Draw an hour of every version, with a row for each minute."""
    rng = np.random.default_rng(12)
    rows = VERSIONS * MINUTES
    requests = 1 + rng.poisson(CALLS_A_MINUTE - 1, rows)
    # Both factors have the mean 1: what the calls of a minute share, and what each has of its own.
    cost = COST_PICO_USD * rng.lognormal(-0.125, 0.5, rows) * rng.gamma(4 * requests, 1 / 4)
    ms = MEDIAN_MS * np.exp(SPREAD * rng.standard_normal(int(requests.sum())))
    buckets = np.ceil(np.log(ms) / math.log(1.01 / 0.99)).astype(int)
    hists = []
    for of_minute in np.split(buckets, np.cumsum(requests)[:-1]):
        names, counts = np.unique(of_minute, return_counts=True)
        hists.append(dict(zip(names.tolist(), counts.tolist(), strict=True)))
    begin = NOW.replace(second=0, microsecond=0) - dt.timedelta(minutes=MINUTES)
    columns = {
        "window_start": [begin + dt.timedelta(minutes=at % MINUTES) for at in range(rows)],
        "prompt_name": ["answer"] * rows,
        "prompt_version": [f"v{at // MINUTES}" for at in range(rows)],
        "requests": requests.tolist(),
        "errors": rng.binomial(requests, FAILED).tolist(),
        "cost_pico_usd": [int(one) for one in cost],
        "latency_hist": hists,
    }
    client.insert(
        "windows_1m", list(columns.values()), column_names=list(columns), column_oriented=True
    )


def test_intervals_hold_the_true_value_as_often_as_they_say(sql_client: Client) -> None:
    store(sql_client)
    chosen = {**dict.fromkeys(SCOPE_NAMES, ALL), "prompt": ["answer"], "left": ["a"]}
    held: dict[str, list[bool]] = {measure: [] for measure in TRUE}
    for part in (versions._MEANS, versions._SHARES, versions._PERCENTILES):
        # Of all versions in place of the two that a board compares.
        of_all = f"SELECT measure, low, high FROM ({part.replace(versions.VERSIONS, '1 = 1')})"
        text = expand(with_names(of_all), span(0.2), chosen)
        for measure, low, high in sql_client.query(text).result_rows:
            if measure in TRUE:
                slack = OF_A_BUCKET if "Latency" in measure else 1.0
                held[measure].append(low / slack <= TRUE[measure] <= high * slack)
    assert {measure: len(found) for measure, found in held.items()} == dict.fromkeys(TRUE, VERSIONS)
    shares = {measure: sum(found) / VERSIONS for measure, found in held.items()}
    assert all(0.91 <= share <= 0.985 for share in shares.values()), shares
