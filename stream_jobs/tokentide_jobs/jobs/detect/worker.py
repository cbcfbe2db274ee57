"""One detect worker process, from its settings to its exit code: the same codes as ingest's."""

from __future__ import annotations

import os

# As in the ingest worker: one core's worth, few heaps.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:5000")

import asyncio
import contextlib
import gc
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiokafka.errors import KafkaError

from tokentide_jobs.core.decide.decider import STATE_VERSION
from tokentide_jobs.core.detect_metrics import DETECT_METRICS
from tokentide_jobs.core.tables import DETECTOR_STATE
from tokentide_jobs.errors import ConfigError, ServiceUnreachable
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import DetectorStore
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_jobs.io.kafka.control import ControlPublisher
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.alert.outbox_task import Outbox
from tokentide_jobs.jobs.detect.database_clock import DatabaseClock
from tokentide_jobs.jobs.detect.job import DetectJob
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.session import DetectSession
from tokentide_jobs.jobs.detect.watch import DetectWatch
from tokentide_jobs.jobs.runtime.faust_app import JobApp, JobWorker, build_app
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.sole_owner import SoleOwner
from tokentide_jobs.jobs.runtime.waiting import until_it_answers, until_stored
from tokentide_jobs.jobs.runtime.watchdog import Watchdog
from tokentide_jobs.jobs.runtime.web import start_web
from tokentide_jobs.jobs.runtime.worker_process import run_worker
from tokentide_jobs.process_name import process_name
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.worker_files import announce_worker, withdraw_worker
from tokentide_schemas.topics import CONTROL, WINDOWS_TOPIC

__all__ = ["run_detect"]

_log = logging.getLogger(__name__)

_LEAVE_S = 10.0
"""How long Faust may take to leave the group and let go of Kafka."""


class _DetectProcess:
    """Everything one worker process holds open."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.loop = loop
        self.files = RuleFiles(
            settings.detect_file,
            settings.budgets_file,
            settings.slos_file,
            time=settings.detect_time,
        )
        self.metrics = Metrics(DETECT_METRICS)
        self.health = Health(role="detect")
        self.watchdog = Watchdog(settings.watchdog_s)
        self.store = ClickHouse(
            settings.clickhouse_url, settings.database, timeout_s=settings.insert_timeout_s
        )
        self.snapshots = DetectorStore(
            self.store, STATE_VERSION, process_name(), settings.detect_group
        )
        self.control = ControlPublisher(settings.kafka_bootstrap)
        self._stop = threading.Event()
        self._web: web.AppRunner | None = None
        self._app: JobApp | None = None
        self._watching: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None

    async def prepare(self) -> JobWorker:
        """Start the web server, wait for the services and return the worker, ready to run."""
        settings = self.settings
        self._web, port = await start_web(
            settings.http_host, settings.http_port, self.health, self.metrics.exposition
        )
        log_event(_log, logging.INFO, "http_listening", port=port)
        announce_worker(settings.data_dir, f"http://{settings.http_host}:{port}")
        wait = partial(until_it_answers, longest_pause_s=settings.retry_max_s, health=self.health)
        await wait("ClickHouse", lambda: asyncio.to_thread(self._check_store))
        topic_id = await wait("Kafka", self._check_broker)
        self.health.starting("waiting for the topic of deltas")
        alerts = AlertStore(self.store)
        clock = DatabaseClock(lambda: self._storing("clock", alerts.clock_us))
        desk = AlertDesk(alerts, self.files.in_force.alerts.rules, self._storing, clock.now_us)
        session = DetectSession(
            self.store, self.files, self.snapshots, self._storing,
            settings.snapshot_s * 1_000_000, desk, clock,
        )  # fmt: skip
        watch = DetectWatch(
            settings, topic_id, self.files, self.metrics, self.health, self.watchdog
        )
        job = DetectJob(settings, session, self.control, self.health, watch.found, self._stop)
        app = build_app(
            settings, job.positions, lambda: None, self.loop, settings.detect_group, SoleOwner
        )
        self._app = app
        job.attach(app, self.close)
        self._watching = self.loop.create_task(watch.run(job), name="watch")
        self._sending = self.loop.create_task(
            Outbox(alerts, clock_us=clock.reckoned_us).follow(
                lambda: self.files.in_force.alerts.receivers if job.is_active else None
            ),
            name="outbox",
        )
        self.watchdog.start()
        gc.freeze()
        log_event(_log, logging.INFO, "worker_started", job="detect")
        return JobWorker(app, loop=self.loop, quiet=True, loglevel="WARNING")

    async def close(self) -> None:
        """Let go of everything. Safe to call twice."""
        withdraw_worker(self.settings.data_dir)
        self._stop.set()
        # Nothing is left to store, and Faust may wait for its consumer for ever.
        if self._app is not None:  # a preparation that failed has an exit code of its own
            self.watchdog.end(_LEAVE_S, 1 if self._app.crashed else 0)
        for task in (self._watching, self._sending):
            if task is not None:
                task.cancel()
        with contextlib.suppress(Exception):  # the broker may be gone, and nothing is left to send
            await asyncio.wait_for(self.control.stop(), 5)
        web_runner, self._web = self._web, None
        if web_runner is not None:
            await web_runner.cleanup()

    def _storing(self, name: str, work: Callable[[], Any]) -> Any:
        result = until_stored(name, work, self.settings.retry_max_s, self.health, self._stop)
        self.watchdog.progress()  # what is learned on a first start takes many steps
        return result

    def _check_store(self) -> None:
        """Return when the tables are there.

        Raises:
            ConfigError: A worker of another group decides on this database.
        """
        self.store.select("status/table", {"table": DETECTOR_STATE})
        if wrong := self.snapshots.other_group(AlertStore(self.store).clock_us()):
            raise ConfigError(wrong)

    async def _check_broker(self) -> str:
        """Return the incarnation of the delta topic once Kafka answers and the topics are there."""
        bootstrap = self.settings.kafka_bootstrap
        await ensure_topics(bootstrap, [WINDOWS_TOPIC, CONTROL])
        try:
            await self.control.start()
        except KafkaError as exc:
            raise ServiceUnreachable(f"Kafka at {bootstrap}: {exc!r}") from exc
        return await topic_log_id(bootstrap, WINDOWS_TOPIC.name)


def run_detect(settings: Settings) -> int:
    """Run a detect worker until SIGTERM, SIGINT or a crash; return its exit code.

    Raises:
        ConfigError: A setting, detect.yaml or budgets.yaml is wrong; nothing was read.
    """
    return run_worker(partial(_DetectProcess, settings))
