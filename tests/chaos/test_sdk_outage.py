"""The broker goes away under load: with a spool nothing is lost, without one the loss is known.

TOKENTIDE_TEST_OUTAGE_S=60 makes the outage longer than the 8 s of a usual run; the figures of a
run are printed (`pytest -s`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.live import LiveWorker, wait_until
from tests.commands import verified
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH
from tokentide import ProducerStats, Telemetry
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.clickhouse.client import ClickHouse

pytestmark = pytest.mark.integration

OUTAGE_S = float(os.environ.get("TOKENTIDE_TEST_OUTAGE_S", "8"))
EVENTS_PER_S = 1_000 if IS_THOROUGH else 400
TICK_S = 0.01

KILLED = """
import os, signal, sys, time, tokentide
telemetry = tokentide.Telemetry(service="killed")
for n in range(2000):
    telemetry.emit({
        "type": "request", "provider": "openai", "operation": "chat", "request_model": "gpt-4o",
        "status": "ok", "duration_ms": 1.0, "input_tokens": n, "output_tokens": 1,
    })
while telemetry.stats().spooled < 2000:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Service:
    """Emits a steady stream from a thread and measures what each call of `emit` took."""

    def __init__(self, stack: Stack, name: str, **given: Any) -> None:
        self.name = name
        self.telemetry = Telemetry(
            bootstrap=stack.info.kafka,
            topic=stack.info.events_topic,
            service=name,
            stats_interval_s=2,
            **given,
        )
        self.emit_us: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._stream, name=name)
        self._thread.start()

    def _stream(self) -> None:
        due_s = time.monotonic()
        number = 0
        while not self._ended.is_set():
            for _ in range(int(EVENTS_PER_S * TICK_S)):
                started_ns = time.perf_counter_ns()
                self.telemetry.emit(request(number))
                self.emit_us.append((time.perf_counter_ns() - started_ns) / 1000)
                number += 1
            due_s += TICK_S
            self._ended.wait(max(0.0, due_s - time.monotonic()))

    @property
    def stats(self) -> ProducerStats:
        return self.telemetry.stats()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def request(number: int) -> dict[str, object]:
    return {
        "type": "request",
        "provider": "openai",
        "operation": "chat",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-11-20",
        "status": "ok",
        "duration_ms": 812.5,
        "input_tokens": 1000 + number % 500,
        "output_tokens": 120,
        "tenant": f"tenant-{number % 20}",
        "feature": "answer",
        "tags": {"route": f"/v1/answers/{number % 7}"},
    }


@pytest.fixture
def stack(tmp_path: Path, prepared: Prepared) -> Iterator[Stack]:
    with Stack(prepared(tmp_path / "stack"), broker="kafka") as running:
        yield running


def rows(stack: Stack, service: str) -> dict[str, Any]:
    """Return what ClickHouse knows of one service."""
    with closing(ClickHouse(stack.info.clickhouse_dsn, "tokentide")) as database:
        (found,) = database.rows(
            "SELECT count(), uniqExact(event_id), min(seq), max(seq) FROM tokentide.requests "
            f"WHERE service = '{service}'"
        )
        (reported,) = database.rows(
            "SELECT max(emitted), max(dropped), uniqExact(event_id) FROM tokentide.producer_stats "
            f"WHERE service = '{service}'"
        )
    names = ("rows", "events", "first_seq", "last_seq", "emitted", "dropped", "reports")
    return dict(zip(names, (*found, *reported), strict=True))


def test_an_outage_under_load_loses_nothing_with_a_spool_and_is_counted_without(
    stack: Stack, tmp_path: Path
) -> None:
    spool_dir = str(tmp_path / "spool")
    kept = Service(stack, "kept", spool_dir=spool_dir)
    # So little room that an outage of seconds overflows it.
    lossy = Service(stack, "lossy", queue_events=500, backlog_bytes=256 * 1024)
    wait_until(lambda: min(s.stats.delivered for s in (kept, lossy)) > 500, 30, "a first delivery")
    before_us = len(kept.emit_us)

    assert stack._supervisor is not None
    stack._supervisor.end()  # or it would bring the broker back at once
    stack.broker.kill()
    killed_s = time.monotonic()
    environ = {
        **os.environ,
        "TOKENTIDE_KAFKA_BOOTSTRAP": stack.info.kafka,
        "TOKENTIDE_EVENTS_TOPIC": stack.info.events_topic,
        "TOKENTIDE_SPOOL_DIR": spool_dir,
    }
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    time.sleep(max(0.0, killed_s + OUTAGE_S - time.monotonic()))
    during = {service.name: service.stats for service in (kept, lossy)}
    during_us = sorted(kept.emit_us[before_us:])
    resident_mb = psutil.Process().memory_info().rss / 1e6
    stack.broker.start()
    outage_s = time.monotonic() - killed_s
    back_s = time.monotonic()
    wait_until(lambda: kept.stats.spooled == 0 and kept.stats.connected, 90, "the replay")
    replay_s = time.monotonic() - back_s

    heir = Telemetry(
        bootstrap=stack.info.kafka,
        topic=stack.info.events_topic,
        service="heir",
        spool_dir=spool_dir,
    )
    heir.change("deploy", "heir")
    wait_until(lambda: heir.stats().replayed + kept.stats.adopted >= 2_000, 60, "the adoption")
    for service in (kept, lossy):
        service.end()
        assert service.telemetry.flush(60)
        service.telemetry.close(10)
    heir.close(10)
    assert list(Path(spool_dir).iterdir()) == [], "nothing is left on the disk"

    with LiveWorker(stack, tmp_path / "worker.log"):
        report = verified(stack.data_dir, wait_s=120)
    assert report["ok"], report
    assert report["dead_letters"] == 0

    found = rows(stack, "kept")
    assert kept.stats.dropped_total == kept.stats.failed == 0
    assert found["events"] == len(kept.emit_us), "nothing was lost"
    assert rows(stack, "killed")["events"] == 2_000, "nor by the process that was killed"

    reported = rows(stack, "lossy")
    assert lossy.stats.dropped == {"queue_full": lossy.stats.dropped_total}
    assert lossy.stats.dropped_total > 0
    assert reported["dropped"] == lossy.stats.dropped_total, "the loss is visible"
    # The report itself is the one event that it does not count.
    assert (
        reported["events"] + reported["reports"] == reported["emitted"] + 1 - reported["dropped"]
    ), "and exact"
    print(
        "\noutage:",
        json.dumps(
            {
                "outage_s": round(outage_s, 1),
                "emitted": len(kept.emit_us),
                "spooled": during["kept"].spooled,
                "spool_bytes": during["kept"].spool_bytes,
                "replay_s": round(replay_s, 1),
                "repeated": found["rows"] - found["events"],
                "emit_us_p50_p99_max": [
                    round(during_us[int(len(during_us) * q)], 1) for q in (0.5, 0.99)
                ]
                + [round(during_us[-1], 1)],
                "resident_mb": round(resident_mb),
                "lossy_emitted": reported["emitted"],
                "lossy_dropped": reported["dropped"],
            }
        ),
    )
