"""Window deltas commute: however events are split and ordered, the totals are the same."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tests.stream_jobs.core.window.histogram_reading import quantile
from tokentide_jobs.core.decode.columns import COLUMNS, storage_schema
from tokentide_jobs.core.window.fold import (
    COST_SUMS,
    DELTA_SCHEMA,
    DIMENSIONS,
    HISTOGRAMS,
    fold,
)

START_US = 1_790_000_000_000_000
COSTS = COST_SUMS[:-1]

WORDS = st.sampled_from(["", "a", "b"])
MAYBE_COUNT = st.none() | st.integers(0, 1 << 40)
MONEY = st.none() | st.integers(0, 5) | st.integers(1 << 61, (1 << 63) - 1)
DURATIONS = st.sampled_from([0.0, 0.0005, 1.0]) | st.floats(0, 6e8, allow_nan=False)
# Edges of windows, and one microsecond to either side of them.
TIMES = st.builds(
    lambda window, delta: START_US + window * 10_000_000 + delta,
    st.integers(0, 2),
    st.sampled_from([0, 1, -1, 5_000_000, 9_999_999]),
)


def event(event_type: str, **values: Any) -> dict[str, Any]:
    row = {column.name: column.empty for column in COLUMNS[event_type]}
    return row | {"type": event_type, "schema_version": 1, "service": "s"} | values


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(["request", "request", "evaluation", "feedback", "change", "stats"])
    )
    common = {"started_at_us": draw(TIMES), "tenant": draw(WORDS), "team": draw(WORDS)}
    if kind in ("change", "stats"):
        return event(kind, **common)
    common |= {"provider": draw(WORDS), "response_model": draw(WORDS), "request_model": "m"}
    if kind == "feedback":
        return event(kind, **common, score=draw(st.none() | st.floats(-5, 5)))
    if kind == "evaluation":
        return event(
            kind,
            **common,
            score=draw(st.none() | st.floats(0, 1)),
            passed=draw(st.none() | st.booleans()),
            evaluator=draw(st.sampled_from(["judge", "guardrail", ""])),
        )
    duration_ms = draw(DURATIONS)
    cost = draw(MONEY)
    return event(
        kind,
        **common,
        duration_ms=duration_ms,
        ttft_ms=draw(st.none() | st.just(duration_ms) | st.floats(0, duration_ms)),
        status=draw(st.sampled_from(["ok", "error", "refused", "filtered", "cancelled"])),
        error_type=draw(st.sampled_from(["", "rate_limit", "timeout", "overloaded", "auth"])),
        finish_reasons=draw(st.sampled_from([[], ["stop"], ["length"], ["stop", "max_tokens"]])),
        input_tokens=draw(MAYBE_COUNT),
        output_tokens=draw(MAYBE_COUNT),
        retry_count=draw(st.none() | st.integers(0, 9)),
        stream=draw(st.none() | st.booleans()),
        usage_source=draw(st.sampled_from(["", "provider", "missing"])),
        **dict.fromkeys(COSTS, cost),
    )


EVENTS = st.lists(events(), min_size=1, max_size=25)


def frames(rows: Sequence[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_type[row["type"]].append(row)
    costs: dict[str, pl.DataType] = dict.fromkeys(COSTS, pl.Int64())
    return {
        kind: pl.DataFrame(
            [row | {"_partition": 0, "_offset": i, "_idx": 0} for i, row in enumerate(rows)],
            schema=storage_schema(kind) | (costs if kind == "request" else {}),
        )
        for kind, rows in by_type.items()
    }


Totals = dict[tuple[Any, ...], Counter[Any]]


def totals(*deltas: pl.DataFrame) -> Totals:
    """Add up deltas by (window, series), in Python integers."""
    result: Totals = defaultdict(Counter)
    for delta in deltas:
        for row in delta.to_dicts():
            counter = result[(row["window_start"], *(row[name] for name in DIMENSIONS))]
            for name, dtype in DELTA_SCHEMA.items():
                if name in HISTOGRAMS:
                    for entry in row[name]:
                        assert entry["value"] > 0
                        counter[name, entry["key"]] += entry["value"]
                elif name not in DIMENSIONS and dtype != pl.Datetime("us", "UTC"):
                    counter[name] += int(row[name])
    return {key: Counter({k: v for k, v in one.items() if v}) for key, one in result.items()}


@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS, EVENTS)
def test_folding_together_is_folding_apart_and_adding_up(
    left: list[dict[str, Any]], right: list[dict[str, Any]]
) -> None:
    together = fold(frames([*left, *right]))
    assert totals(together) == totals(fold(frames(left)), fold(frames(right)))


@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS, st.randoms(use_true_random=False))
def test_any_order_and_any_partition_give_the_same_rows(
    rows: list[dict[str, Any]], rng: random.Random
) -> None:
    expected = fold(frames(rows))
    shuffled = rng.sample(rows, len(rows))
    assert fold(frames(shuffled)).equals(expected)
    cuts = sorted(rng.randrange(len(rows) + 1) for _ in range(3))
    parts = [shuffled[a:b] for a, b in itertools.pairwise([0, *cuts, len(rows)])]
    assert totals(*(fold(frames(part)) for part in parts if part)) == totals(expected)


@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_the_measures_are_those_of_a_count_by_hand(rows: list[dict[str, Any]]) -> None:
    expected: Totals = defaultdict(Counter)
    for row in rows:
        start = row["started_at_us"] // 10_000_000 * 10_000_000
        model = row.get("response_model") or row.get("request_model") or ""
        dimensions = [row.get(name, "") if name != "model" else model for name in DIMENSIONS]
        counter = expected[(start, *dimensions)]
        counter["events"] += 1
        if row["type"] == "request":
            is_error = row["status"] == "error"
            counter["requests"] += 1
            counter["errors"] += is_error
            counter["errors_rate_limit"] += is_error and row["error_type"] == "rate_limit"
            counter["errors_timeout"] += is_error and row["error_type"] == "timeout"
            counter["errors_server"] += is_error and row["error_type"] == "overloaded"
            counter["errors_other"] += is_error and row["error_type"] in ("", "auth")
            counter["truncated"] += bool({"length", "max_tokens"} & set(row["finish_reasons"]))
            counter["streamed"] += row["stream"] is True
            counter["retries"] += row["retry_count"] or 0
            counter["input_tokens"] += row["input_tokens"] or 0
            counter["unpriced"] += row["cost_pico_usd"] is None
            counter["cost_pico_usd"] += row["cost_pico_usd"] or 0
            counter["cost_errors_pico_usd"] += (row["cost_pico_usd"] or 0) if is_error else 0
            counter["duration_us_sum"] += round(row["duration_ms"] * 1000)
            counter["ttft_count"] += row["ttft_ms"] is not None
        elif row["type"] == "evaluation":
            counter["evaluations"] += 1
            counter["evaluations_scored"] += row["score"] is not None
            counter["evaluations_passed"] += row["passed"] is True
            failed = row["passed"] is False and row["evaluator"] == "guardrail"
            counter["policy_violations"] += failed
        elif row["type"] == "feedback":
            counter["feedback"] += 1
            counter["feedback_scored"] += row["score"] is not None
    found = {
        (int(key[0].timestamp()) * 1_000_000, *key[1:]): counter
        for key, counter in totals(fold(frames(rows))).items()
    }
    checked = {name for counter in expected.values() for name in counter}
    assert found.keys() == expected.keys()
    for key, counter in expected.items():
        assert {k: v for k, v in found[key].items() if k in checked} == {
            k: v for k, v in counter.items() if v
        }


@settings(max_examples=examples(15), deadline=None)
@given(
    st.lists(st.floats(1e-6, 6e8), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_percentiles_of_merged_windows_are_within_one_per_cent(
    durations: list[float], q: float
) -> None:
    rows = [
        event(
            "request",
            started_at_us=START_US + 3_000_000 * i,
            duration_ms=duration,
            status="ok",
            **dict.fromkeys(COSTS, i),
        )
        for i, duration in enumerate(durations)
    ]
    merged: Counter[int] = Counter()
    for histogram in fold(frames(rows))["latency_hist"].to_list():
        merged.update({entry["key"]: entry["value"] for entry in histogram})
    exact = sorted(durations)[max(1, math.ceil(q * len(durations) - 1e-9)) - 1]
    found = quantile(merged, q)
    assert found is not None
    assert abs(found - exact) <= exact * 0.01 * (1 + 1e-9)
