"""One ingest worker process, from its settings to its exit code.

Exit codes: 0 it was asked to stop and did, 1 it crashed or was stuck (start it again), 2 a setting
is wrong (starting it again would not help). `python -m tokentide_jobs.jobs.ingest.worker` runs it
without the command line.
"""

from __future__ import annotations

import os

# Polars and its allocator read these when they are imported: a worker is one core's worth, scaled
# by processes, and four heaps a core would only keep memory without a use. Pages are kept for
# half a minute: giving them back between two batches cost four per cent of a worker's CPU.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:30000")

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp import web

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.batch.breaker import Breaker
from tokentide_jobs.core.batch.byte_budget import ByteBudget
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.planner import Limits
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.kafka.log_ends import LogEnds
from tokentide_jobs.io.kafka.log_identity import LogIdentity
from tokentide_jobs.io.kafka.publisher import KafkaPublisher
from tokentide_jobs.jobs.ingest.agent import IngestJob
from tokentide_jobs.jobs.ingest.card_cache import CardCache
from tokentide_jobs.jobs.ingest.driver import Driver
from tokentide_jobs.jobs.ingest.flush import Flush
from tokentide_jobs.jobs.ingest.hold import Hold
from tokentide_jobs.jobs.ingest.monitor import Monitor
from tokentide_jobs.jobs.ingest.observer import IngestObserver
from tokentide_jobs.jobs.ingest.partition import BatchWriter
from tokentide_jobs.jobs.ingest.progress_marks import MarkPublisher
from tokentide_jobs.jobs.ingest.startup import prepare_logs, prepare_store
from tokentide_jobs.jobs.ingest.store_disk_space import StoreDiskSpace
from tokentide_jobs.jobs.ingest.turns import Turns
from tokentide_jobs.jobs.ingest.void_list import VoidList
from tokentide_jobs.jobs.runtime.faust_app import JobApp, JobWorker, build_app
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event, setup_logging
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.watchdog import Watchdog
from tokentide_jobs.jobs.runtime.web import start_web
from tokentide_jobs.jobs.runtime.worker_process import run_worker
from tokentide_jobs.process_name import process_name
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.user_hash_key import user_hasher
from tokentide_jobs.settings.worker_files import announce_worker, withdraw_worker

__all__ = ["run_ingest"]

_log = logging.getLogger(__name__)

_WATCH_ANSWER_S = 5.0
_LEAVE_S = 10.0
"""How long Faust may take to leave the group and let go of Kafka."""
_WRITERS = 2
"""Batches written at a time: one computes while the other waits for the store."""


class _IngestProcess:
    """Everything one worker process holds open."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.loop = loop
        self.metrics = Metrics()
        self.health = Health(settings.min_free_bytes)
        self.watchdog = Watchdog(settings.watchdog_s)
        self.observer = IngestObserver(self.metrics, self.health, self.watchdog)
        self.store = ClickHouse(
            settings.clickhouse_url, settings.database, timeout_s=settings.insert_timeout_s
        )
        self.publisher = KafkaPublisher(settings.kafka_bootstrap, loop)
        self.log_ends = LogEnds(settings.kafka_bootstrap, settings.topics)
        # One more than batches: where a new partition begins is asked while both are written. A
        # step of an abandoned partition keeps its thread until it ends; the question may wait then.
        self.executor = ThreadPoolExecutor(_WRITERS + 1, thread_name_prefix="writer")
        self._web: web.AppRunner | None = None
        self._identity: LogIdentity | None = None
        self._app: JobApp | None = None
        self._watching: list[asyncio.Task[None]] = []
        # One of its own: these questions must not wait as long as an insert may.
        self._watch_store = ClickHouse(
            settings.clickhouse_url, settings.database, timeout_s=_WATCH_ANSWER_S
        )
        self.space = StoreDiskSpace(
            self._watch_store, settings.min_free_bytes, self.observer.free_space
        )
        self.hold = Hold(self._watch_store, self.watchdog.progress)
        self.voids = VoidList(self._watch_store)

    async def prepare(self) -> JobWorker:
        """Start the web server, wait for the services and return the worker, ready to run."""
        settings = self.settings
        self._web, port = await start_web(
            settings.http_host, settings.http_port, self.health, self.metrics.exposition
        )
        log_event(_log, logging.INFO, "http_listening", port=port)
        announce_worker(settings.data_dir, f"http://{settings.http_host}:{port}")
        cards = await prepare_store(settings, self.store, self.voids, self.health)
        log_ids, topic_ids = await prepare_logs(settings, self.health)
        await self.publisher.start()
        await self.log_ends.start()
        self.health.starting("waiting for partitions")
        self._identity = LogIdentity(settings.kafka_bootstrap, topic_ids, self.loop)
        writer = self._writer(cards, self._identity.confirm)
        job = IngestJob(settings, log_ids, writer, self.observer, self.health)
        app = build_app(settings, job.positions, self._commit_failed, self.loop)
        self._app = app
        job.attach(app, self.close)
        monitor = Monitor(settings, topic_ids, job, self.metrics, self.observer, self.watchdog)
        progress = MarkPublisher(
            job.partitions.values,
            self.log_ends,
            monitor.end_of_records,
            self.publisher.publish_marks,
            job.moved,
            _now_us,
        )
        self._watching = [
            self.loop.create_task(monitor.run(), name="monitor"),
            self.loop.create_task(progress.run(), name="progress"),
            self.loop.create_task(self.space.run(), name="free-space"),
            self.loop.create_task(self.hold.run(), name="hold"),
            self.loop.create_task(self.voids.run(), name="voids"),
        ]
        self.watchdog.start()
        # What is here stays; the collector, which every few frames set going, need not see it.
        gc.freeze()
        log_event(
            _log,
            logging.INFO,
            "worker_started",
            log_ids=log_ids,
            price_version=cards.price_version,
            settings={item.name: item.value for item in settings.items()},
        )
        return JobWorker(app, loop=self.loop, quiet=True, loglevel="WARNING")

    async def close(self) -> None:
        """Let go of everything; nothing here decides about data. Safe to call twice."""
        withdraw_worker(self.settings.data_dir)
        # Nothing is left to store. Faust may wait for its consumer for ever, as when the session of
        # the group was lost a moment ago.
        if self._app is not None:  # a preparation that failed has an exit code of its own
            self.watchdog.end(_LEAVE_S, 1 if self._app.crashed else 0)
        for task in self._watching:
            task.cancel()
        with contextlib.suppress(Exception):  # the broker may be gone, and nothing is left to send
            await asyncio.wait_for(self.publisher.stop(), 5)
            await asyncio.wait_for(self.log_ends.stop(), 1)
        if self._identity is not None:
            await self._identity.close()
        web_runner, self._web = self._web, None
        if web_runner is not None:
            await web_runner.cleanup()
        self.executor.shutdown(wait=False, cancel_futures=True)

    def _writer(self, cards: CardTable, confirm: Callable[[LogPartition], None]) -> BatchWriter:
        settings, ledger = self.settings, LedgerStore(self.store)
        limits = Limits(
            rows=settings.batch_rows,
            bytes=settings.batch_bytes,
            age_ms=settings.batch_age_ms,
            buffer_bytes=max(settings.buffer_bytes, settings.batch_bytes),
        )
        card_cache = CardCache(self.store, cards)
        worker = process_name()

        def propose(log: LogPartition, start: int, end: int) -> Intent:
            now_us = _now_us()
            return Intent(
                log=log,
                start=start,
                end=end,
                price_version=cards.price_version,
                accepted_from_us=now_us - settings.max_event_age_s * 1_000_000,
                accepted_until_us=now_us + settings.max_event_ahead_s * 1_000_000,
                sealed_at_us=now_us,
                worker=worker,
                subject_kinds=settings.subject_kinds,
                max_subjects=settings.max_subjects,
                void_revision=self.voids.newest,
            )

        return BatchWriter(
            driver=Driver(Backoff(longest_s=settings.retry_max_s), self.observer),
            ledger=ledger,
            flush=Flush(
                self.store,
                ledger,
                self.publisher,
                card_cache.of_version,
                _now_us,
                worker,
                settings.token_window_s * 1_000_000,
                user_hasher(settings.user_hash_key_file),
                self.voids.ids_at,
            ),
            confirm=confirm,
            propose=propose,
            executor=self.executor,
            turns=Turns(_WRITERS),
            limits=limits,
            budget=ByteBudget(limits.buffer_bytes),
            must_wait=lambda: self.space.is_low() or self.hold.is_on(),
            new_breaker=lambda: Breaker(
                settings.breaker_ratio,
                settings.breaker_events,
                round(settings.breaker_pause_s * 1000),
            ),
        )

    def _commit_failed(self) -> None:
        self.metrics.count("tokentide_ingest_commit_failures_total")


def run_ingest(settings: Settings) -> int:
    """Run an ingest worker until SIGTERM, SIGINT or a crash; return its exit code.

    Raises:
        ConfigError: A setting is wrong; nothing was read.
    """
    return run_worker(partial(_IngestProcess, settings))


def _now_us() -> int:
    return time.time_ns() // 1000


def main() -> None:
    """Run with the settings of the environment and end the process."""
    setup_logging()
    try:
        code = run_ingest(Settings.from_env(os.environ))
    except ConfigError as exc:
        log_event(_log, logging.CRITICAL, "wrong_setting", error=str(exc))
        code = 2
    sys.stderr.flush()
    # A writer may hang in a reply that never comes; what it writes is harmless, waiting is not.
    os._exit(code)


if __name__ == "__main__":
    main()
