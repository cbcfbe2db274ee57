"""The whole pipeline on one machine, as one process tree with one owner.

Started in the order in which things depend on each other (broker and ClickHouse, schema, topics,
workers), stopped in reverse. Everything is below one data directory, which one process owns at a
time. A service or worker that dies is started again; only a broker that keeps its log in memory
cannot be, because what it held is gone.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import clickhouse_connect

from tokentide_jobs.counted import counted
from tokentide_jobs.embedded.kafka.broker import Broker, BrokerKind
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.embedded.processes.announcer import Announcer
from tokentide_jobs.embedded.processes.child import ChildRecord
from tokentide_jobs.embedded.processes.local_disk_space import LocalDiskSpace
from tokentide_jobs.embedded.processes.locks import DataDirLock
from tokentide_jobs.embedded.processes.ports import LOOPBACK, choose_port
from tokentide_jobs.embedded.processes.supervisor import Service, Supervisor
from tokentide_jobs.embedded.stack.clickhouse_child import ClickHouseChild
from tokentide_jobs.embedded.stack.discovery import StackInfo, publish, withdraw
from tokentide_jobs.embedded.stack.reporter import Reporter, SilentReporter
from tokentide_jobs.embedded.stack.unread import unread_records
from tokentide_jobs.embedded.stack.workers import WorkerPool
from tokentide_jobs.errors import StackError
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_jobs.io.kafka.own_loop import run_on_own_loop
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.settings.origins import STACK_FILE_VARIABLE
from tokentide_jobs.settings.stack_file import STACK_FILE_NAME
from tokentide_schemas.topics import EVENTS, OTLP

__all__ = ["Stack", "worker_environment"]

MIN_FREE_BYTES = 512 * 1024 * 1024
"""Do not start with less, and let workers store nothing; see `Stack`."""

_STOP_WORKERS_S, _STOP_CLICKHOUSE_S, _STOP_BROKER_S = 7.0, 5.0, 2.0
"""Together less than the 15 s after which the sender of SIGTERM may send SIGKILL."""

_STOP_READ_S = 8.0
"""How long the workers may read on in a log that ends with its broker."""
_STOP_AFTER_READ_S = 1.0, 3.5, _STOP_BROKER_S
"""What workers, ClickHouse and broker get afterwards: together with the reading, less than 15 s."""

_WORKER_DEFAULTS: dict[BrokerKind, dict[str, str]] = {
    # A worker that was killed is back at once, but reads again only when the broker has given its
    # predecessor up; Tansu waits for more than two sessions when a member comes back.
    "kafka": {"TOKENTIDE_SESSION_TIMEOUT_MS": "6000", "TOKENTIDE_DRAIN_S": "5"},
    "tansu": {"TOKENTIDE_SESSION_TIMEOUT_MS": "3000", "TOKENTIDE_DRAIN_S": "5"},
}
"""What workers of the stack do unless the environment says otherwise."""

_BROKER_NAMES = {"kafka": "Apache Kafka", "tansu": "Tansu"}

VIEWER_COMMAND = (sys.executable, "-m", "tokentide_jobs", "viewer")
"""`tokentide viewer`, by this interpreter, whatever PATH says."""
DETECT_COMMAND = (sys.executable, "-m", "tokentide_jobs", "worker", "detect")
"""`tokentide worker detect`, likewise."""
WORKER_COMMAND = (sys.executable, "-m", "tokentide_jobs", "worker", "ingest")
"""`tokentide worker ingest`, by this interpreter, whatever PATH says."""


class Stack:
    """A broker, ClickHouse and ingest workers; a context manager, or `start` and `stop`.

    Args:
        data_dir: Everything is kept below it.
        broker: None: Kafka, or Tansu where Kafka's artifacts cannot be had.
        workers: How many ingest workers to run; 0 for none.
        detect: Run a detect worker, too.
        kafka_port: 0 takes any free port.
        clickhouse_port: 0 takes any free port.
        clickhouse: False starts only the broker and its topics.
        viewer_port: Serve the boards to browsers here; 0 takes any free port, None serves none.
        environ: Environment of the workers, to which the addresses are added.
        worker_command: What a worker is.
        min_free_bytes: With less free disk the stack does not start and its workers store nothing;
            with half of it ClickHouse refuses inserts and Kafka is stopped, until there is more.
        reporter: Notified of progress and restarts, partly from another thread.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        broker: BrokerKind | None = None,
        workers: int = 0,
        detect: bool = False,
        kafka_port: int = 0,
        clickhouse_port: int = 0,
        clickhouse: bool = True,
        viewer_port: int | None = None,
        cache_dir: Path | None = None,
        environ: Mapping[str, str] | None = None,
        worker_command: Sequence[str] = WORKER_COMMAND,
        min_free_bytes: int = MIN_FREE_BYTES,
        reporter: Reporter | None = None,
    ) -> None:
        if (workers or detect or viewer_port is not None) and not clickhouse:
            raise StackError("workers need ClickHouse, and so does the viewer: use it, or none")
        self.data_dir = data_dir.absolute()
        self._broker_kind = broker
        self._worker_count = workers
        self._has_detect = detect
        self._kafka_port = kafka_port
        self._viewer_port = viewer_port
        self._cache_dir = cache_dir
        self._environ = dict(os.environ if environ is None else environ)
        self._worker_command = tuple(worker_command)
        self._min_free_bytes = min_free_bytes
        self._report = reporter or SilentReporter()
        self._lock = DataDirLock(self.data_dir)
        self._has_clickhouse = clickhouse
        self._clickhouse_port = clickhouse_port
        self._clickhouse: ClickHouseChild | None = None
        self._broker: Broker | None = None
        self._workers: WorkerPool | None = None
        self._records: dict[str, ChildRecord] = {}
        self._supervisor: Supervisor | None = None
        self._announcer: Announcer | None = None
        self._info: StackInfo | None = None

    @property
    def info(self) -> StackInfo:
        """Addresses of the running stack."""
        if self._info is None:
            raise StackError("the stack is not running")
        return self._info

    @property
    def broker(self) -> Broker:
        """The broker of the running stack."""
        if self._broker is None:
            raise StackError("the stack is not running")
        return self._broker

    def start(self) -> StackInfo:
        """Start everything; blocks until it can be used.

        Raises:
            StackError: The message says what holds it up. What was started is stopped again.
        """
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in reverse order, in less than 15 seconds; safe to call twice."""
        if self._lock.is_held:
            withdraw(self.data_dir)
        if self._supervisor is not None:
            self._supervisor.end()
            self._supervisor = None
        if self._announcer is not None:
            self._announcer.end()
            self._announcer = None
        budget_s = _STOP_WORKERS_S, _STOP_CLICKHOUSE_S, _STOP_BROKER_S
        if self._let_read() > 1.0:
            budget_s = _STOP_AFTER_READ_S
        if self._workers is not None:
            self._workers.stop(budget_s[0])
        if self._clickhouse is not None:
            self._clickhouse.stop(budget_s[1])
        if self._broker is not None:
            self._broker.stop(budget_s[2])
        self._records.clear()
        self._lock.release()
        self._info = None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the stack ends by itself; returns False when the time is up first.

        Raises:
            PipelineError: A service died and could not be brought back.
        """
        if self._supervisor is None:
            raise StackError("the stack is not running")
        return self._supervisor.wait(timeout_s)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> StackInfo:
        for orphan in self._lock.acquire():
            self._report.note(
                f"ended {orphan.name} (pid {orphan.pid}) of an earlier stack that was killed"
            )
        withdraw(self.data_dir)
        self._check_disk()
        # Before anything is started, so that a taken port leaves nothing half done.
        choose_port(self._kafka_port, "--kafka-port")
        choose_port(self._clickhouse_port, "--clickhouse-port")
        if self._viewer_port is not None:
            self._viewer_port = choose_port(self._viewer_port, "--viewer-port")
        self._broker = choose_broker(
            self._broker_kind,
            self.data_dir,
            port=self._kafka_port,
            cache_dir=self._cache_dir,
            notify=self._report.note,
        )
        if self._has_clickhouse:
            self._clickhouse = ClickHouseChild(
                self.data_dir,
                port=self._clickhouse_port,
                min_free_bytes=self._min_free_bytes // 2,
            )
        log_id = self._start_services()
        info = StackInfo(
            kafka=self._broker.bootstrap,
            clickhouse_url=self._clickhouse.url if self._clickhouse else "",
            user=self._clickhouse.user if self._clickhouse else "",
            password=self._clickhouse.password if self._clickhouse else "",
            events_topic=EVENTS.name,
            pid=os.getpid(),
            broker=self._broker.kind,
            log_id=log_id,
            data_dir=str(self.data_dir),
            workers=self._worker_count,
            detectors=int(self._has_detect),
            restarted_logs=_restarted_logs(self._environ),
            viewer_url=""
            if self._viewer_port is None
            else f"http://{LOOPBACK}:{self._viewer_port}",
        )
        started = [counted(self._worker_count, "ingest worker")] if self._worker_count else []
        started += ["detect worker"] if self._has_detect else []
        started += ["viewer"] if self._viewer_port is not None else []
        # A terminal that stands still must hold up neither a restart nor a stop.
        self._announcer = Announcer(self._report.note)
        if started:
            with self._step(f"{', '.join(started)} started"):
                self._workers = self._start_workers(info, self._announcer.say)
        self._note_children()
        publish(self.data_dir, info)
        self._info = info
        self._supervisor = self._supervise(self._announcer.say)
        return info

    def _start_services(self) -> str:
        """Start broker and ClickHouse side by side, then schema and topics; returns the log id."""
        assert self._broker is not None
        began_s = time.monotonic()
        if self._clickhouse is not None:
            self._clickhouse.begin()
        with self._step(_BROKER_NAMES[self._broker.kind]):
            self._note_children({"broker": self._broker.start()})
        if self._clickhouse is not None:
            self._report.step("ClickHouse")
            self._note_children({"ClickHouse": self._clickhouse.finish()})
            self._report.done("ClickHouse", time.monotonic() - began_s)
            with self._step("schema"):
                _migrate(self._clickhouse)
        with self._step("topics"):
            return run_on_own_loop(_prepare_topics(self._broker.bootstrap, self._report))

    def _start_workers(self, info: StackInfo, say: Callable[[str], None]) -> WorkerPool:
        commands = {f"worker-{n + 1}": self._worker_command for n in range(self._worker_count)}
        if self._has_detect:
            commands["detect"] = DETECT_COMMAND
        if self._viewer_port is not None:
            commands["viewer"] = (*VIEWER_COMMAND, "--port", str(self._viewer_port))
        workers = WorkerPool(
            commands,
            log_dir=self.data_dir / "logs",
            env={
                **_WORKER_DEFAULTS[self.broker.kind],
                **self._environ,
                **worker_environment(info),
                "TOKENTIDE_MIN_FREE_BYTES": str(self._min_free_bytes),
            },
            notify=say,
        )
        workers.start()
        return workers

    def _let_read(self) -> float:
        """Let the workers read a log that ends with the broker; returns the seconds it took."""
        info, broker = self._info, self._broker
        if info is None or broker is None or broker.survives_restart or self._clickhouse is None:
            return 0.0
        began_s = time.monotonic()
        timeout_s = _STOP_READ_S if self._worker_count else 0.0
        with ThreadPoolExecutor(max_workers=1) as thread:
            unread = thread.submit(unread_records, info, timeout_s).result()
        if unread:
            self._report.note(
                f"{_BROKER_NAMES[broker.kind]} keeps its log in memory: "
                f"{counted(unread, 'record')} of {info.events_topic} that no worker has read "
                f"{'is' if unread == 1 else 'are'} gone"
            )
        return time.monotonic() - began_s

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.data_dir).free
        if free < self._min_free_bytes:
            raise StackError(
                f"only {free // 2**20} MiB are free where {self.data_dir} lies and "
                f"{self._min_free_bytes // 2**20} MiB are needed: free some, use another "
                "--data-dir, or set TOKENTIDE_MIN_FREE_BYTES"
            )

    def _supervise(self, say: Callable[[str], None]) -> Supervisor:
        services: dict[str, Service] = {"broker": self.broker}
        if self._clickhouse is not None:
            services["ClickHouse"] = self._clickhouse
        supervisor = Supervisor(
            services,
            restart_workers=self._workers.restart_due
            if self._workers is not None
            else lambda: False,
            restarted=self._note_children,
            notify=say,
            is_full=LocalDiskSpace(self.data_dir, self._min_free_bytes // 2).is_full,
        )
        supervisor.start()
        return supervisor

    def _note_children(self, started: Mapping[str, ChildRecord] = MappingProxyType({})) -> None:
        """Write into the lock file what runs now, after `started` was started."""
        self._records.update(started)
        workers = self._workers.records() if self._workers is not None else []
        self._lock.note([*self._records.values(), *workers])

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        began_s = time.monotonic()
        self._report.step(what)
        yield
        self._report.done(what, time.monotonic() - began_s)


def _restarted_logs(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the words under which workers with this environment read topics as new logs."""
    variables = {EVENTS.name: "TOKENTIDE_LOG_ID", OTLP.name: "TOKENTIDE_OTLP_LOG_ID"}
    return {topic: word for topic, name in variables.items() if (word := environ.get(name))}


def worker_environment(info: StackInfo) -> dict[str, str]:
    """Return what a worker, or any other command, needs to use this stack."""
    return {
        "TOKENTIDE_KAFKA_BOOTSTRAP": info.kafka,
        "TOKENTIDE_CLICKHOUSE_URL": info.clickhouse_dsn,
        "TOKENTIDE_EVENTS_TOPIC": info.events_topic,
        "TOKENTIDE_DATA_DIR": info.data_dir,
        STACK_FILE_VARIABLE: str(Path(info.data_dir) / STACK_FILE_NAME),
        # Several workers cannot share one port; each says in its log which one it took.
        "TOKENTIDE_HTTP_PORT": "0",
    }


def _migrate(server: ClickHouseChild) -> None:
    client = clickhouse_connect.get_client(
        host=LOOPBACK, port=server.port, username=server.user, password=server.password
    )
    try:
        migrate(client)
    finally:
        client.close()


async def _prepare_topics(bootstrap: str, report: Reporter) -> str:
    outcome = await ensure_topics(bootstrap)
    for difference in outcome.differing:
        report.note(str(difference))
    return await topic_log_id(bootstrap, EVENTS.name)
