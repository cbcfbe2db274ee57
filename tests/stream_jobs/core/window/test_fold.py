"""Window deltas: which window, which series, which measure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from tests.each import each
from tokentide_jobs.core.decode.columns import COLUMNS, storage_schema
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.window.fold import COST_SUMS, DELTA_SCHEMA, DIMENSIONS, HISTOGRAMS, fold
from tokentide_jobs.core.window.histogram import ZERO_BUCKET, buckets_of

START_US = 1_790_000_000_000_000
COSTS = COST_SUMS[:-1]


def frame(event_type: str, *events: dict[str, Any]) -> pl.DataFrame:
    """Return a decoded (for requests: priced) frame of events given by their unusual fields."""
    empty = {column.name: column.empty for column in COLUMNS[event_type]}
    extra: dict[str, pl.DataType] = (
        dict.fromkeys(COSTS, pl.Int64()) if event_type == "request" else {}
    )
    usual = {"type": event_type, "schema_version": 1, "started_at_us": START_US, "service": "s"}
    usual |= {"status": "ok", "duration_ms": 100.0} if event_type == "request" else {}
    rows = [
        empty | usual | event | {"_partition": 0, "_offset": i, "_idx": 0}
        for i, event in enumerate(events)
    ]
    return pl.DataFrame(rows, schema=storage_schema(event_type) | extra)


def bucket_of(value: float) -> int:
    return int(buckets_of(np.array([value]))[0])


def only(deltas: pl.DataFrame) -> dict[str, Any]:
    assert deltas.height == 1
    return deltas.row(0, named=True)


def test_windows_are_half_open() -> None:
    times = [START_US - 1, START_US, START_US + 9_999_999, START_US + 10_000_000]
    deltas = fold({"request": frame("request", *({"started_at_us": at} for at in times))})
    starts = [datetime.fromtimestamp(START_US / 1e6 + step, UTC) for step in (-10, 0, 10)]
    assert deltas["window_start"].to_list() == starts
    assert deltas["events"].to_list() == [1, 2, 1]


def test_the_columns_are_always_the_same() -> None:
    assert fold({}).schema == DELTA_SCHEMA
    for event_type in COLUMNS:
        assert fold({event_type: frame(event_type, {})}).schema == DELTA_SCHEMA
    assert fold({t: frame(t, {}) for t in COLUMNS}).schema == DELTA_SCHEMA


def test_events_of_all_types_are_counted_once() -> None:
    deltas = fold({event_type: frame(event_type, {}, {}) for event_type in reversed(list(COLUMNS))})
    delta = only(deltas)
    assert delta["events"] == 10
    assert (delta["requests"], delta["evaluations"], delta["feedback"]) == (2, 2, 2)
    assert sum(entry["value"] for entry in delta["latency_hist"]) == 2


def test_a_series_is_made_of_the_dimensions_and_nothing_else() -> None:
    fields = [name for name in DIMENSIONS if name != "model"]
    deltas = fold({"request": frame("request", {}, *({name: "other"} for name in fields))})
    assert deltas.height == 1 + len(fields)
    same = frame("request", {"host": "a"}, {"host": "b", "trace_id": "0" * 32})
    assert fold({"request": same}).height == 1


def test_the_model_is_the_one_that_answered() -> None:
    events = [
        {"request_model": "alias", "response_model": "real"},
        {"request_model": "alias"},
    ]
    assert fold({"request": frame("request", *events)})["model"].to_list() == ["alias", "real"]


def test_changes_and_stats_have_a_series_of_tenant_service_and_environment() -> None:
    delta = only(fold({"stats": frame("stats", {"tenant": "t", "team": "x"})}))
    assert (delta["tenant"], delta["service"], delta["model"]) == ("t", "s", "")


def test_sums_of_money_are_exact_beyond_64_bits() -> None:
    large = (1 << 63) - 1
    events = [{name: large - i for name in COSTS} | {"status": "error"} for i in range(4)]
    delta = only(fold({"request": frame("request", *events)}))
    for name in COST_SUMS:
        assert int(delta[name]) == 4 * large - 6
    table = to_arrow("windows_10s", fold({"request": frame("request", *events)}))
    assert table["cost_pico_usd"].type == pa.decimal128(38, 0)
    assert int(table["cost_pico_usd"][0].as_py()) == 4 * large - 6


def test_an_unpriced_request_is_counted_and_has_no_cost() -> None:
    delta = only(fold({"request": frame("request", {}, dict.fromkeys(COSTS, 0))}))
    assert delta["unpriced"] == 1
    assert delta["cost_hist"] == [{"key": ZERO_BUCKET, "value": 1}]


@each(
    ("event", "tokens_per_s"),
    [
        ({"output_tokens": 50, "duration_ms": 1000.0}, 50),
        ({"output_tokens": 50, "duration_ms": 1000.0, "ttft_ms": 500.0}, 100),
        ({"output_tokens": 50, "duration_ms": 1000.0, "ttft_ms": 1000.0}, 50),
        ({"output_tokens": 50, "duration_ms": 1e-9}, 50_000_000),
        ({"output_tokens": 50, "duration_ms": 0.0}, None),
        ({"output_tokens": 0, "duration_ms": 1000.0}, None),
        ({"duration_ms": 1000.0}, None),
    ],
)
def test_speed_is_output_over_the_time_after_the_first_token(
    event: dict[str, Any], tokens_per_s: float | None
) -> None:
    histogram = only(fold({"request": frame("request", event)}))["output_tps_hist"]
    if tokens_per_s is None:
        assert histogram == []
    else:
        assert histogram == [{"key": bucket_of(tokens_per_s), "value": 1}]


def test_absent_values_are_in_no_histogram() -> None:
    delta = only(fold({"request": frame("request", {}, {"ttft_ms": 0.0})}))
    assert delta["ttft_hist"] == [{"key": ZERO_BUCKET, "value": 1}]
    assert delta["ttft_count"] == 1
    assert sum(entry["value"] for entry in delta["latency_hist"]) == 2


def test_scores_are_summed_in_millionths() -> None:
    scores = [{"score": value} for value in (0.1, 0.2, -0.3, None)]
    delta = only(fold({"evaluation": frame("evaluation", *scores)}))
    assert (delta["evaluation_score_micro_sum"], delta["evaluations_scored"]) == (0, 3)


def test_histograms_become_arrow_maps() -> None:
    table = to_arrow("windows_10s", fold({"request": frame("request", {}, {"tenant": "b"})}))
    assert table.schema.names == list(DELTA_SCHEMA)
    for name in HISTOGRAMS:
        assert table.schema.field(name).type == pa.map_(pa.int16(), pa.uint64())
    expected = bucket_of(100.0)
    assert table["latency_hist"].to_pylist() == [[(expected, 1)], [(expected, 1)]]
