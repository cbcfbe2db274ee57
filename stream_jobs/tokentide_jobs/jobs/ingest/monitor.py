"""Looks at the worker from outside every few seconds: lag, gauges, identity of the topic, watchdog.

It asks the broker itself where the log ends. Faust's own lag is only refreshed by fetching, so it
stands still exactly when something is stuck.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.record.topics import partition_label
from tokentide_jobs.errors import ConfigError, ServiceUnreachable
from tokentide_jobs.io.kafka.admin import topic_log_id
from tokentide_jobs.io.kafka.offsets import OffsetRange, offset_ranges
from tokentide_jobs.io.kafka.tail import partitions_with_records
from tokentide_jobs.jobs.ingest.agent import IngestJob
from tokentide_jobs.jobs.ingest.observer import IngestObserver
from tokentide_jobs.jobs.ingest.partition import AssignedPartition
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.memory import give_back
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.watchdog import STUCK_EXIT_CODE, Watchdog
from tokentide_jobs.settings import Settings

__all__ = ["Monitor"]

_log = logging.getLogger(__name__)

_EVERY_S = 5.0
_TRIM_S = 30.0
"""Between two times that memory is given back while a backlog is drained."""
_BEAT_S = 1.0


class Monitor:
    """Watches one job; runs on the same loop.

    Args:
        settings: Broker and topic.
        topic_ids: Identity of every topic when the worker started.
        job: What is watched.
        metrics: Where gauges go.
        observer: Refreshed with every look.
        watchdog: Fed.
    """

    def __init__(
        self,
        settings: Settings,
        topic_ids: Mapping[str, str],
        job: IngestJob,
        metrics: Metrics,
        observer: IngestObserver,
        watchdog: Watchdog,
    ) -> None:
        self._settings = settings
        self._topic_ids = topic_ids
        self._job = job
        self._metrics = metrics
        self._observer = observer
        self._watchdog = watchdog
        self._idle_spans: dict[LogPartition, tuple[int, int]] = {}
        self._markers: dict[LogPartition, tuple[int, int]] = {}
        """Ranges at the ends of logs that hold no record."""

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        beats = 0
        while True:
            self._watchdog.beat()
            if beats % int(_EVERY_S / _BEAT_S) == 0:
                is_behind = await self.look()
                # While a backlog is drained the next batch would fault all of it in again.
                if not is_behind or beats % int(_TRIM_S / _BEAT_S) == 0:
                    await asyncio.to_thread(give_back)
            beats += 1
            await asyncio.sleep(_BEAT_S)

    async def look(self) -> bool:
        """Show and feed what is watched; tell whether more waits than the next batches hold."""
        self._observer.tick()
        self._metrics.set("tokentide_ingest_partitions", len(self._job.partitions))
        bootstrap, ranges, found = self._settings.kafka_bootstrap, {}, {}
        try:
            async with asyncio.timeout(_EVERY_S):
                for topic in self._topic_ids:
                    ranges[topic] = await offset_ranges(bootstrap, topic)
                    found[topic] = await topic_log_id(bootstrap, topic)
        except (ServiceUnreachable, ConfigError, TimeoutError, OSError) as exc:
            self._observer.kafka_silent(exc)
            return False
        self._observer.kafka_answers()
        for topic, topic_id in found.items():
            if topic_id != self._topic_ids[topic]:
                # Its offsets begin again: what this process knows about them is no longer true.
                log_event(_log, logging.CRITICAL, "topic_recreated", topic=topic, topic_id=topic_id)
                os._exit(STUCK_EXIT_CODE)
        waiting = 0
        for partition in list(self._job.partitions.values()):
            available = ranges[partition.log.topic][partition.log.partition]
            waiting += self._show(partition, await self._without_markers(partition, available))
        if waiting == 0:
            self._watchdog.progress()
        return any(partition.is_paused for partition in self._job.partitions.values())

    def end_of_records(self, partition: AssignedPartition, log_end: int) -> int:
        """Return where a partition's records end: before markers, which are never stored."""
        is_empty = self._markers.get(partition.log) == (partition.position, log_end)
        return partition.position if is_empty else log_end

    async def _without_markers(
        self, partition: AssignedPartition, available: OffsetRange
    ) -> OffsetRange:
        """End a range where its last record ends, as far as that is known.

        A log may end in markers of transactions: offsets that are never stored. Only where
        nothing moves between two looks is it worth asking.
        """
        log, span = partition.log, (partition.position, available.end)
        if span[0] >= span[1] or not partition.is_idle:
            return available
        before, self._idle_spans[log] = self._idle_spans.get(log), span
        if before == span and self._markers.get(log) != span:
            try:
                found = await partitions_with_records(
                    self._settings.kafka_bootstrap, log.topic, {log.partition: span}
                )
            except ServiceUnreachable:
                return available
            if not found:
                self._markers[log] = span
        return replace(available, end=self.end_of_records(partition, available.end))

    def _show(self, partition: AssignedPartition, available: OffsetRange) -> int:
        """Set the gauges of one partition; return its lag where records should be read."""
        label = partition_label(partition.log.topic, partition.log.partition)
        now_ms = time.monotonic_ns() // 1_000_000
        lag = max(0, available.end - max(partition.position, available.start))
        rest_ms = partition.breaker.remaining_ms(now_ms)
        oldest_ms = partition.oldest_record_ms()
        lag_s = max(0.0, time.time() - oldest_ms / 1000) if lag and oldest_ms > 0 else 0.0
        show = self._metrics.set
        show("tokentide_ingest_lag_records", lag, partition=label)
        show("tokentide_ingest_lag_seconds", lag_s, partition=label)
        behind = available.behind_transaction
        show("tokentide_ingest_behind_transaction_records", behind, partition=label)
        show("tokentide_ingest_position", partition.position, partition=label)
        show("tokentide_ingest_buffer_bytes", partition.planner.buffered_bytes, partition=label)
        show(
            "tokentide_ingest_buffer_age_seconds",
            partition.planner.age_ms(now_ms) / 1000,
            partition=label,
        )
        show("tokentide_ingest_paused", int(partition.is_paused), partition=label)
        show("tokentide_ingest_breaker_open", int(rest_ms > 0), partition=label)
        return 0 if rest_ms else lag
