"""Turns what happens in a worker into metrics, logs, health and the watermark.

The one place that knows all four, so that the code that does the work knows none of them.
"""

from __future__ import annotations

import logging
import time

import polars as pl

from tokentide_jobs.core.batch.ledger import LogPartition, ResumeFinding
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.batch.progress_mark import LATENESS_US
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.record.dead_letter import REFUSED_BY_STORE
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.topics import partition_label
from tokentide_jobs.core.tables import MINUTE_US, RAW_TABLES
from tokentide_jobs.core.window.watermark import Watermark
from tokentide_jobs.disk_space import DiskSpaceFloor
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.watchdog import Watchdog

__all__ = ["IngestObserver"]

_log = logging.getLogger(__name__)

_IDLE_US = MINUTE_US


class IngestObserver:
    """Observes one worker: every partition's batches and every step of the writer."""

    def __init__(self, metrics: Metrics, health: Health, watchdog: Watchdog) -> None:
        self._metrics = metrics
        self._health = health
        self._watchdog = watchdog
        self._watermark = Watermark(LATENESS_US, _IDLE_US)
        metrics.set("tokentide_ingest_sink_healthy", 1)

    # Steps of the writer, called from its threads.

    def step_failed(self, code: int | None, message: str, needs_a_person: bool) -> None:
        """Note a failed step that will be retried: a known reason not to make progress."""
        self._health.sink_failed(code, message, needs_a_person)
        self._watchdog.progress()
        self._metrics.count(
            "tokentide_ingest_retries_total", code="none" if code is None else str(code)
        )
        self._metrics.set("tokentide_ingest_sink_healthy", 0 if needs_a_person else 1)

    def step_succeeded(self, step: str, seconds: float) -> None:
        """Note that a step succeeded."""
        if self._health.is_retrying and step.startswith(("insert", "claim", "finish")):
            self._health.sink_works()
            self._metrics.set("tokentide_ingest_sink_healthy", 1)
        self._metrics.observe("tokentide_ingest_step_seconds", seconds, step=step)

    # The store's disk, called from the event loop.

    def free_space(self, free_bytes: int, floor: DiskSpaceFloor) -> None:
        """Note how much room the disk of the store has."""
        self._metrics.set("tokentide_ingest_disk_free_bytes", free_bytes)
        self._metrics.set("tokentide_ingest_disk_low", int(floor.is_low))
        words = ""
        if floor.is_low:
            self._watchdog.progress()  # a known reason not to make progress
            words = (
                f"ClickHouse's disk has {free_bytes >> 20} MiB free, TOKENTIDE_MIN_FREE_BYTES is "
                f"{floor.floor_bytes >> 20} MiB: nothing is stored until "
                f"{floor.resume_bytes >> 20} MiB are free"
            )
        self._health.disk_low(words)

    # The broker, called from the event loop.

    def kafka_answers(self) -> None:
        """Note that the broker said where the log ends."""
        self._health.kafka_answers()

    def kafka_silent(self, error: BaseException) -> None:
        """Note that it did not: a known reason not to make progress."""
        # A hung consumer would not look like this.
        self._watchdog.progress()
        is_late = isinstance(error, TimeoutError)
        self._health.kafka_silent("no answer in time" if is_late else str(error))
        log_event(_log, logging.WARNING, "kafka_not_answering", error=repr(error))

    # Batches of the partitions, called from the event loop.

    def batch_started(self, log: LogPartition) -> None:
        """Count a batch that is sealed and has its intent stored."""
        self._metrics.count("tokentide_ingest_batches_started_total")

    def batch_done(
        self, log: LogPartition, batch: SealedBatch[Record], outcome: Outcome, done: DoneBatch
    ) -> None:
        """Count a batch that is stored."""
        self._watchdog.progress()
        partition = partition_label(log.topic, log.partition)
        self._health.partition_reads(partition)
        count, observe = self._metrics.count, self._metrics.observe
        for event_type, table in RAW_TABLES.items():
            if rows := outcome.rows(table):
                count("tokentide_ingest_events_total", rows, type=event_type)
        for reason, refused in _reasons(outcome).items():
            count("tokentide_ingest_dead_letters_total", refused, reason=reason)
        for kind, number in outcome.ignored.items():
            count("tokentide_ingest_otlp_ignored_total", number, kind=kind)
        if outcome.replaced_texts:
            count("tokentide_ingest_mended_texts_total", outcome.replaced_texts)
        if outcome.cleared_codes:
            count("tokentide_ingest_cleared_codes_total", outcome.cleared_codes)
        count("tokentide_ingest_records_total", done.records)
        count("tokentide_ingest_bytes_total", done.bytes)
        count("tokentide_ingest_batches_total", reason=batch.reason)
        if done.adopted:
            count("tokentide_ingest_adopted_total")
        observe("tokentide_ingest_batch_events", done.events + done.dead_letters)
        observe("tokentide_ingest_batch_bytes", done.bytes)
        observe("tokentide_ingest_compute_seconds", done.compute_ms / 1000)
        observe(
            "tokentide_ingest_delay_seconds",
            max(0.0, done.done_at_us / 1e6 - done.first_record_ms / 1000),
        )
        self._metrics.set("tokentide_ingest_position", outcome.intent.end, partition=partition)
        if done.events:
            self._watermark.observe(partition, done.last_started_at_us, _now_us())
        log_event(
            _log,
            logging.INFO,
            "batch_done",
            topic=log.topic,
            partition=log.partition,
            start=batch.start,
            end=batch.end,
            rows=done.events,
            dead_letters=done.dead_letters,
            reason=batch.reason,
            adopted=done.adopted,
            compute_ms=round(done.compute_ms, 1),
            insert_ms=round(done.insert_ms, 1),
            retries=done.retries,
        )

    def overtaken(self, log: LogPartition) -> None:
        """Count a batch that another worker has finished."""
        self._watchdog.progress()
        self._metrics.count("tokentide_ingest_overtaken_total")
        log_event(_log, logging.WARNING, "overtaken", topic=log.topic, partition=log.partition)

    def reread(self, log: LogPartition) -> None:
        """Note that offsets were missing and are read again."""
        self._metrics.count("tokentide_ingest_reread_total")

    def breaker_opened(self, log: LogPartition, pause_s: float) -> None:
        """Note that most recent events were refused and the partition rests."""
        self._health.partition_rests(partition_label(log.topic, log.partition), pause_s)
        log_event(
            _log,
            logging.ERROR,
            "breaker_opened",
            topic=log.topic,
            partition=log.partition,
            pause_s=pause_s,
        )

    # Assignments, called from the event loop.

    def found(self, log: LogPartition, findings: tuple[ResumeFinding, ...]) -> None:
        """Report how ledger, log and committed offset differ at assignment."""
        for finding in findings:
            self._metrics.count("tokentide_ingest_findings_total", finding.count, kind=finding.kind)
            is_loss = finding.kind == "records_expired_unread"
            log_event(
                _log,
                logging.ERROR if is_loss else logging.WARNING,
                finding.kind,
                topic=log.topic,
                partition=log.partition,
                count=finding.count,
                detail=finding.detail,
            )

    def released(self, log: LogPartition) -> None:
        """Forget a partition that belongs to another worker now."""
        partition = partition_label(log.topic, log.partition)
        self._metrics.forget(partition)
        self._health.partition_reads(partition)
        self._watermark.forget(partition)

    def tick(self) -> None:
        """Refresh what changes with time alone."""
        watermark_us = self._watermark.value_us(_now_us())
        if watermark_us is not None:
            self._metrics.set("tokentide_ingest_watermark_seconds", watermark_us / 1e6)


def _reasons(outcome: Outcome) -> dict[str, int]:
    if not outcome.dead_letter_count:
        return {}
    counts = outcome.dead_letters.group_by("reason").agg(pl.len().alias("n"))
    reasons = {str(reason): int(number) for reason, number in counts.iter_rows()}
    if outcome.refused:
        reasons[REFUSED_BY_STORE] = len(outcome.refused)
    return reasons


def _now_us() -> int:
    return time.time_ns() // 1000
