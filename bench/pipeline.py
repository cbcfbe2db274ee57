"""A private pipeline for one measurement: Kafka, ClickHouse and one ingest worker as processes.

Everything lives in a temporary folder and ends with the `with` block; CPU and memory are read from
the operating system, per process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import psutil

from bench.progress import say
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.io.schema.migrations import migrate


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Addresses of a running pipeline; the worker is started separately."""

    root: Path
    bootstrap: str
    clickhouse_url: str
    clickhouse_pid: int

    def client(self) -> clickhouse_connect.driver.client.Client:
        """Return a new client of the pipeline's ClickHouse."""
        return clickhouse_connect.get_client(
            dsn=self.clickhouse_url, database="tokentide", autogenerate_session_id=False
        )

    @contextmanager
    def worker(self, job: str = "ingest", **settings: str) -> Iterator[psutil.Process]:
        """Run one worker; `settings` are TOKENTIDE_* variables without the prefix."""
        env = dict(os.environ)
        env["TOKENTIDE_KAFKA_BOOTSTRAP"] = self.bootstrap
        env["TOKENTIDE_CLICKHOUSE_URL"] = self.clickhouse_url
        env["TOKENTIDE_DATA_DIR"] = str(self.root)
        env.update({f"TOKENTIDE_{name.upper()}": value for name, value in settings.items()})
        log = (self.root / f"{job}.log").open("ab")
        command = [sys.executable, "-m", "tokentide_jobs", "worker", job]
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()


@contextmanager
def running() -> Iterator[Pipeline]:
    """Start Kafka and ClickHouse with the current schema, and stop them at the end."""
    root = Path(tempfile.mkdtemp(prefix="tokentide-bench-"))
    broker = choose_broker("kafka", root, notify=say)
    try:
        broker.start()
        with ClickHouseProcess.start(root / "clickhouse") as store:
            client = clickhouse_connect.get_client(dsn=store.dsn, autogenerate_session_id=False)
            migrate(client)
            client.close()
            yield Pipeline(root, broker.bootstrap, store.dsn, store.pid)
    finally:
        broker.stop()
        shutil.rmtree(root, ignore_errors=True)


def cpu_s(process: psutil.Process) -> float:
    """Return the user and system CPU seconds of one process, its threads included."""
    times = process.cpu_times()
    return float(times.user + times.system)


def wait_for_rows(pipeline: Pipeline, at_least: int, deadline_s: float) -> int:
    """Wait until `raw_requests` holds `at_least` rows; returns how many there are.

    Raises:
        TimeoutError: They did not arrive in time; the message shows the end of the worker's log.
    """
    give_up = time.monotonic() + deadline_s
    client = pipeline.client()
    try:
        while True:
            rows = int(client.query("SELECT count() FROM raw_requests").result_rows[0][0])
            if rows >= at_least:
                return rows
            if time.monotonic() > give_up:
                tail = (pipeline.root / "ingest.log").read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{rows} of {at_least} rows after {deadline_s} s:\n{tail}")
            time.sleep(0.1)
    finally:
        client.close()
