"""What `tokentide demo` and `tokentide top` show: spend, latency, errors and the pipeline's pace.

Everything but the pipeline's own figures comes from windows_10s, so it is as quick on a week as on
a minute. Money stays integer pico-USD until it is printed.
"""

# ruff: noqa: S608 -- the database name is validated by the settings; every value is a parameter
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from tokentide_jobs.core.tables import WINDOW_US
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["Group", "Pipeline", "Summary", "read_pipeline", "read_summary"]

Dimension = Literal["model", "team", "tenant", "service"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("model", "team", "tenant", "service")

_IN_RANGE: Final = (
    "window_start >= fromUnixTimestamp64Micro({low:Int64}, 'UTC') "
    "AND window_start < fromUnixTimestamp64Micro({high:Int64}, 'UTC')"
)
_SUMMED: Final = (
    "requests", "errors", "retries", "refused", "filtered", "truncated", "unpriced",
    "usage_missing", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens",
    "cost_pico_usd", "cost_errors_pico_usd",
)  # fmt: skip
_MEASURES: Final = """
    sum(s_requests), sum(s_errors), sum(s_retries), sum(s_refused) + sum(s_filtered),
    sum(s_truncated), sum(s_unpriced), sum(s_usage_missing),
    sum(s_input_tokens), sum(s_output_tokens), sum(s_cache_read_tokens), sum(s_reasoning_tokens),
    toString(sum(s_cost_pico_usd)), toString(sum(saved)), toString(sum(s_cost_errors_pico_usd)),
    p50_from_hist(sumMap(latency)), p95_from_hist(sumMap(latency)),
    p50_from_hist(sumMap(ttft)), p95_from_hist(sumMap(ttft)),
    p50_from_hist(sumMap(tps))
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Sums of one model, team, tenant or service, or of everything (name is empty)."""

    name: str
    requests: int
    errors: int
    retries: int
    refused: int
    truncated: int
    unpriced: int
    usage_missing: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    reasoning_tokens: int
    cost_pico_usd: int
    saved_pico_usd: int
    """What reading from caches saved, less what writing to them cost extra."""
    cost_errors_pico_usd: int
    p50_ms: float | None
    p95_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    output_tps: float | None
    """Median output tokens per second of a call."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A range of event time, whole and by dimension; groups by falling cost."""

    from_us: int
    until_us: int
    total: Group
    by: dict[Dimension, list[Group]]
    events: int
    evaluations: int
    evaluation_mean: float | None
    feedback: int
    feedback_mean: float | None
    errors_by_type: dict[str, int]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How ingest did over a range of processing time, from the ledger."""

    events: int
    dead_letters: int
    batches: int
    busy_s: float
    """From the first batch sealed to the last one done."""
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    """From the oldest Kafka record of a batch to its last row, over batches."""
    position: int


def read_summary(store: ClickHouse, from_us: int, until_us: int) -> Summary:
    """Read the sums of [from_us, until_us), widened to whole windows.

    Raises:
        RetriableSinkError: ClickHouse does not answer.
    """
    bounds = {"low": from_us // WINDOW_US * WINDOW_US, "high": until_us}
    return Summary(
        from_us=from_us,
        until_us=until_us,
        total=_groups(store, "''", bounds)[0],
        by={dimension: _groups(store, dimension, bounds) for dimension in DIMENSIONS},
        **_quality(store, bounds),
    )


def read_pipeline(store: ClickHouse, since_us: int) -> Pipeline:
    """Read how ingest did since a moment (epoch µs, clock of the workers)."""
    row = store.rows(
        "SELECT sum(events), sum(dead_letters), count(), "
        "(max(done_at_us) - min(sealed_at_us)) / 1e6, "
        "quantileExactOrNull(0.5)(done_at_us / 1000 - first_record_ms), "
        "quantileExactOrNull(0.95)(done_at_us / 1000 - first_record_ms), sum(records) "
        f"FROM `{store.database}`.ingest_positions WHERE done_at_us >= {{since:Int64}}",
        {"since": since_us},
    )[0]
    batches = int(row[2])
    return Pipeline(
        events=int(row[0]),
        dead_letters=int(row[1]),
        batches=batches,
        busy_s=float(row[3]) if batches else 0.0,
        delay_p50_ms=None if row[4] is None else float(row[4]),
        delay_p95_ms=None if row[5] is None else float(row[5]),
        position=int(row[6]),
    )


def _groups(store: ClickHouse, dimension: str, bounds: dict[str, Any]) -> list[Group]:
    """Sum by one dimension; savings need each model's own price of plain input first."""
    rows = store.rows(
        f"SELECT {dimension} AS name, {_MEASURES} FROM ({_by_model(store.database, dimension)}) "
        "GROUP BY name ORDER BY sum(s_cost_pico_usd) DESC, sum(s_requests) DESC, name",
        bounds,
    )
    groups = [_group(row) for row in rows]
    if not groups and dimension == "''":
        groups = [_group(["", *[0] * 14, *[None] * 5])]
    return [group for group in groups if group.requests or dimension == "''"]


def _by_model(database: str, dimension: str) -> str:
    """Return a subquery that sums by model and dimension, with what caches saved.

    The rate of plain input is what the model's plain input of the range cost per token, so it
    follows price changes and overrides; a model with cached input only saves nothing it can show.
    """
    keys = "model, provider" if dimension in ("''", "model") else f"model, provider, {dimension}"
    sums = ", ".join(f"sum({name}) AS s_{name}" for name in _SUMMED)
    cached = "sum(cache_read_tokens) + sum(cache_write_tokens)"
    return (
        f"SELECT {keys}, {sums}, sumMap(latency_hist) AS latency, sumMap(ttft_hist) AS ttft, "
        f"sumMap(output_tps_hist) AS tps, toInt128({cached}) AS cached_tokens, "
        "toInt128(sum(input_tokens)) - cached_tokens AS plain_tokens, "
        "if(plain_tokens > 0 AND cached_tokens > 0, "
        "intDiv(sum(cost_input_pico_usd) * cached_tokens, plain_tokens) "
        "- sum(cost_cache_read_pico_usd) - sum(cost_cache_write_pico_usd), 0) AS saved "
        f"FROM `{database}`.windows_10s WHERE {_IN_RANGE} GROUP BY {keys}"
    )


def _group(row: Any) -> Group:
    ints = [int(value) for value in row[1:15]]
    floats = [None if value is None else float(value) for value in row[15:20]]
    return Group(str(row[0]), *ints, *floats)


def _quality(store: ClickHouse, bounds: dict[str, Any]) -> dict[str, Any]:
    row = store.rows(
        "SELECT sum(events), sum(evaluations), sum(evaluation_score_micro_sum), "
        "sum(evaluations_scored), sum(feedback), sum(feedback_score_micro_sum), "
        "sum(feedback_scored), sum(errors_rate_limit), sum(errors_timeout), sum(errors_server), "
        f"sum(errors_other) FROM `{store.database}`.windows_10s WHERE {_IN_RANGE}",
        bounds,
    )[0]
    numbers = [int(value) for value in row]
    names = ("rate limit", "timeout", "server", "other")
    return {
        "events": numbers[0],
        "evaluations": numbers[1],
        "evaluation_mean": numbers[2] / 1e6 / numbers[3] if numbers[3] else None,
        "feedback": numbers[4],
        "feedback_mean": numbers[5] / 1e6 / numbers[6] if numbers[6] else None,
        "errors_by_type": dict(zip(names, numbers[7:11], strict=True)),
    }
