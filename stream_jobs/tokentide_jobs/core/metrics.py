"""Specifies every metric of the ingest workers: name, kind, unit, labels and where to look next.

The registry that creates metrics, the documentation and the dashboards all read this table, so
they agree. Each metric is updated once a batch or slower; none is touched per event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["METRICS", "MetricSpec"]

Kind = Literal["counter", "gauge", "histogram"]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS: Final = (1, 10, 100, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000)
_BYTES: Final = tuple(4**power * 1024 for power in range(9))


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric: what it is and what to look at when it moves."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    doc: str
    look_at: str
    buckets: tuple[float, ...] = ()


_PARTITION = ("partition",)

METRICS: Final[tuple[MetricSpec, ...]] = (
    MetricSpec(
        "tokentide_ingest_events_total",
        "counter",
        "events",
        ("type",),
        "Events stored, by type.",
        "producers (stats events), lag",
    ),
    MetricSpec(
        "tokentide_ingest_records_total",
        "counter",
        "records",
        (),
        "Kafka records stored.",
        "events per record: small frames cost CPU",
    ),
    MetricSpec(
        "tokentide_ingest_bytes_total",
        "counter",
        "bytes",
        (),
        "Bytes of record values stored.",
        "event size, tags",
    ),
    MetricSpec(
        "tokentide_ingest_dead_letters_total",
        "counter",
        "events",
        ("reason",),
        "Events refused, by reason.",
        "`tokentide dlq list`",
    ),
    MetricSpec(
        "tokentide_ingest_otlp_ignored_total",
        "counter",
        "items",
        ("kind",),
        "What OTLP records held besides calls of a model: `spans` of other kinds, `token_spans` of "
        "other kinds that carry tokens, `repeated_calls` that a span inside them reports too, "
        "`token_metrics` (the spans hold the same tokens), other `metrics`, `logs` that tell of no "
        "call.",
        "the Collector's pipelines: filter before Kafka what is only left out here",
    ),
    MetricSpec(
        "tokentide_ingest_mended_texts_total",
        "counter",
        "texts",
        (),
        "Texts of events that hold a character which cannot be encoded (bytes that are not UTF-8, "
        "half a surrogate pair): it was replaced by U+FFFD.",
        "who writes them: some program cuts or encodes text wrongly",
    ),
    MetricSpec(
        "tokentide_ingest_cleared_codes_total",
        "counter",
        "codes",
        (),
        "Codes and kinds of errors, and events with reasons why the model stopped, that were not "
        "stored as they came, because a text stood there: see docs/events.md for their shapes.",
        "producers other than the SDK: they send a provider's message where its code belongs",
    ),
    MetricSpec(
        "tokentide_ingest_batches_total",
        "counter",
        "batches",
        ("reason",),
        "Batches done, by why they were sealed.",
        "mostly `age`: little traffic; mostly `rows` or `bytes`: a backlog",
    ),
    MetricSpec(
        "tokentide_ingest_batches_started_total",
        "counter",
        "batches",
        (),
        "Batches begun; those not done yet are in flight.",
        "insert latency, retries",
    ),
    MetricSpec(
        "tokentide_ingest_adopted_total",
        "counter",
        "batches",
        (),
        "Batches that were begun before and are finished now, after a crash or a rebalance.",
        "worker restarts, rebalances",
    ),
    MetricSpec(
        "tokentide_ingest_overtaken_total",
        "counter",
        "batches",
        (),
        "Batches that another worker finished first, because this one had lost the partition.",
        "rebalances, session timeout",
    ),
    MetricSpec(
        "tokentide_ingest_batch_events",
        "histogram",
        "events",
        (),
        "Events in a batch.",
        "TOKENTIDE_BATCH_ROWS, TOKENTIDE_BATCH_AGE_MS",
        _ROWS,
    ),
    MetricSpec(
        "tokentide_ingest_batch_bytes",
        "histogram",
        "bytes",
        (),
        "Record bytes in a batch.",
        "TOKENTIDE_BATCH_BYTES",
        _BYTES,
    ),
    MetricSpec(
        "tokentide_ingest_compute_seconds",
        "histogram",
        "seconds",
        (),
        "Decode, price and place one batch.",
        "dead letters (the judge is slower than the columns), batch size",
        _SECONDS,
    ),
    MetricSpec(
        "tokentide_ingest_step_seconds",
        "histogram",
        "seconds",
        ("step",),
        "One step of the write protocol, retries included.",
        "ClickHouse, retries",
        _SECONDS,
    ),
    MetricSpec(
        "tokentide_ingest_delay_seconds",
        "histogram",
        "seconds",
        (),
        "From the oldest record of a batch reaching Kafka to its rows being queryable.",
        "lag, batch age, insert latency",
        _SECONDS,
    ),
    MetricSpec(
        "tokentide_ingest_retries_total",
        "counter",
        "tries",
        ("code",),
        "Steps that failed and were retried, by ClickHouse error code (`none`: no reply).",
        "ClickHouse's log; the code's meaning is in docs/exactly-once.md",
    ),
    MetricSpec(
        "tokentide_ingest_lag_records",
        "gauge",
        "records",
        _PARTITION,
        "Offsets in Kafka that are not stored yet.",
        "step seconds, breaker, buffer",
    ),
    MetricSpec(
        "tokentide_ingest_behind_transaction_records",
        "gauge",
        "records",
        _PARTITION,
        "Offsets in Kafka that no reader gets before an open transaction ends; not in the lag.",
        "`tokentide status`: since when; then *A transaction that stays open*",
    ),
    MetricSpec(
        "tokentide_ingest_lag_seconds",
        "gauge",
        "seconds",
        _PARTITION,
        "Age of the oldest record that is not stored yet.",
        "as lag in records",
    ),
    MetricSpec(
        "tokentide_ingest_position",
        "gauge",
        "offset",
        _PARTITION,
        "First offset that is not stored yet: the ledger's position.",
        "compare with `tokentide verify`",
    ),
    MetricSpec(
        "tokentide_ingest_buffer_bytes",
        "gauge",
        "bytes",
        _PARTITION,
        "Records read and not stored yet.",
        "step seconds; TOKENTIDE_BUFFER_BYTES",
    ),
    MetricSpec(
        "tokentide_ingest_buffer_age_seconds",
        "gauge",
        "seconds",
        _PARTITION,
        "How long the oldest buffered record has waited.",
        "step seconds",
    ),
    MetricSpec(
        "tokentide_ingest_paused",
        "gauge",
        "0 or 1",
        _PARTITION,
        "Reading is paused because the buffer is full.",
        "step seconds; add workers",
    ),
    MetricSpec(
        "tokentide_ingest_breaker_open",
        "gauge",
        "0 or 1",
        _PARTITION,
        "The partition rests because most of its events are refused.",
        "dead letters by reason, the producers of those events",
    ),
    MetricSpec(
        "tokentide_ingest_rebalances_total",
        "counter",
        "rebalances",
        (),
        "Times that partitions were assigned again.",
        "worker restarts, session timeout",
    ),
    MetricSpec(
        "tokentide_ingest_partitions",
        "gauge",
        "partitions",
        (),
        "Partitions this worker holds.",
        "rebalances, number of workers",
    ),
    MetricSpec(
        "tokentide_ingest_findings_total",
        "counter",
        "offsets",
        ("kind",),
        "Offsets by which ledger, log and committed offset differed at assignment.",
        "records_expired_unread is data loss: retention was shorter than the outage",
    ),
    MetricSpec(
        "tokentide_ingest_reread_total",
        "counter",
        "times",
        (),
        "Ranges read again because offsets were missing.",
        "rebalances; compacted or transactional topics",
    ),
    MetricSpec(
        "tokentide_ingest_commit_failures_total",
        "counter",
        "commits",
        (),
        "Kafka commits that failed; harmless, the ledger decides.",
        "Kafka",
    ),
    MetricSpec(
        "tokentide_ingest_watermark_seconds",
        "gauge",
        "epoch seconds",
        (),
        "Event time that this worker's partitions have reached, minus the allowed lateness.",
        "lag; clocks of producers",
    ),
    MetricSpec(
        "tokentide_ingest_disk_free_bytes",
        "gauge",
        "bytes",
        (),
        "Free space where ClickHouse stores, as it says.",
        "retention, other programs on that disk",
    ),
    MetricSpec(
        "tokentide_ingest_disk_low",
        "gauge",
        "0 or 1",
        (),
        "1 while nothing is stored because that disk is nearly full; storing resumes without help.",
        "tokentide_ingest_disk_free_bytes, TOKENTIDE_MIN_FREE_BYTES",
    ),
    MetricSpec(
        "tokentide_ingest_sink_healthy",
        "gauge",
        "0 or 1",
        (),
        "0 while ClickHouse needs a person (grants, schema, password).",
        "`/healthz`, the worker's log",
    ),
)
