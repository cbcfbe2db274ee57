"""What `tokentide demo` and `tokentide top` show: spend, latency, errors and the pipeline's pace.

Everything but the pipeline's own figures comes from windows_10s, so it is as quick on a week as on
a minute, and from one query, so its parts add up while ingest runs. Money stays integer pico-USD
until it is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from tokentide_jobs.core.money import usd
from tokentide_jobs.core.tables import WINDOW_US
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = [
    "DIMENSIONS",
    "Dimension",
    "Pipeline",
    "SpendGroup",
    "Summary",
    "read_pipeline",
    "read_summary",
]

Dimension = Literal["model", "team", "tenant", "service"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("model", "team", "tenant", "service")

_MOST_RAW_ROWS: Final = 1_000_000
"""Looking through more rows for causes takes longer than a person at a screen wants to wait."""
_ERROR_KINDS: Final = {
    "rate limit": "errors_rate_limit",
    "timeout": "errors_timeout",
    "server": "errors_server",
    "other": "errors_other",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendGroup:
    """Sums of one model, team, tenant or service, or of everything (name is empty)."""

    name: str = ""
    events: int = 0
    requests: int = 0
    errors: int = 0
    errors_rate_limit: int = 0
    errors_timeout: int = 0
    errors_server: int = 0
    errors_other: int = 0
    retries: int = 0
    refused: int = 0
    truncated: int = 0
    unpriced: int = 0
    usage_missing: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0
    cost_pico_usd: int = 0
    saved_pico_usd: int = 0
    """What reading from caches saved, less what writing to them cost extra."""
    cost_errors_pico_usd: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None
    output_tps: float | None = None
    """Median output tokens per second of a call."""
    evaluations: int = 0
    evaluations_scored: int = 0
    evaluation_score_micro_sum: int = 0
    feedback: int = 0
    feedback_scored: int = 0
    feedback_score_micro_sum: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; money as decimal strings of USD, exact."""
        return {
            name.replace("_pico_usd", "_usd"): usd(value) if name.endswith("_pico_usd") else value
            for name, value in asdict(self).items()
        }

    @property
    def failed(self) -> int:
        """Return the number of calls that ended in an error, those refused for their rate apart."""
        return self.errors - self.errors_rate_limit

    @property
    def errors_by_type(self) -> dict[str, int]:
        """Return the number of failed calls by kind."""
        return {kind: getattr(self, column) for kind, column in _ERROR_KINDS.items()}

    @property
    def evaluation_mean(self) -> float | None:
        """Return the mean score of evaluations that have one."""
        return _mean(self.evaluation_score_micro_sum, self.evaluations_scored)

    @property
    def feedback_mean(self) -> float | None:
        """Return the mean score of users' verdicts that have one."""
        return _mean(self.feedback_score_micro_sum, self.feedback_scored)


@dataclass(frozen=True, slots=True)
class Summary:
    """A range of event time, whole and by dimension; groups by falling cost."""

    from_us: int
    until_us: int
    total: SpendGroup
    by: Mapping[Dimension, list[SpendGroup]]
    without_cost: Mapping[str, int] = field(default_factory=dict)
    """Calls without a cost by cause, together `total.unpriced`; empty where that is not known."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; money as decimal strings of USD, exact."""
        return {
            "from_us": self.from_us,
            "until_us": self.until_us,
            "total": self.total.to_dict(),
            "without_cost": dict(self.without_cost),
            **{
                f"by_{dimension}": [group.to_dict() for group in groups]
                for dimension, groups in self.by.items()
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
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


def read_summary(store: ClickHouse, from_us: int, until_us: int) -> Summary:
    """Read the sums of [from_us, until_us), widened to whole windows.

    Raises:
        RetriableSinkError: ClickHouse does not answer.
    """
    bounds = {"low_us": from_us // WINDOW_US * WINDOW_US, "high_us": until_us}
    total = SpendGroup()
    by: dict[Dimension, list[SpendGroup]] = {dimension: [] for dimension in DIMENSIONS}
    for row in store.select("summary/spend", bounds):
        dimension = row.pop("dimension")
        group = SpendGroup(**row)
        if not dimension:
            total = group
        elif group.requests:
            by[dimension].append(group)
    return Summary(from_us, until_us, total, by, _causes(store, total, **bounds))


def _causes(store: ClickHouse, total: SpendGroup, low_us: int, high_us: int) -> dict[str, int]:
    """Return why calls have no cost, where the raw rows are few and hold the same calls."""
    if not total.unpriced or total.requests > _MOST_RAW_ROWS:
        return {}
    # The last window that begins before the end of the range ends after it.
    whole_us = -(-high_us // WINDOW_US) * WINDOW_US
    (row,) = store.select("summary/without_cost", {"low_us": low_us, "high_us": whole_us})
    causes = {"no price": row["no_price"], "no usage reported": row["no_usage"]}
    # Ingest runs meanwhile, and rows expire before windows: what does not add up is not shown.
    return causes if sum(causes.values()) == total.unpriced else {}


def read_pipeline(store: ClickHouse, since_us: int) -> Pipeline:
    """Read how ingest did since a moment (epoch µs, clock of the workers)."""
    (row,) = store.select("summary/pipeline", {"since_us": since_us})
    return Pipeline(**row)


def _mean(micro_sum: int, count: int) -> float | None:
    return micro_sum / 1e6 / count if count else None
