"""Workers that are killed, frozen, stopped and outnumbered: nothing is lost, nothing counted twice.

One stack of real parts; `tokentide verify` compares log, ledger, rows and windows at the end.
"""

from __future__ import annotations

import os
import random
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.live import LiveWorker, Traffic, wait_until
from tests.commands import verified
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH, in_thorough
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_schemas.topics import EVENTS, OTLP

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("TOKENTIDE_TEST_KILLS", "3"))
"""Twenty in a thorough run."""
RECORDS_PER_S = 10 if IS_THOROUGH else 3
"""Nearly each is a batch of its own, of a third of a CPU second, while workers start and join."""
PARTITIONS = EVENTS.partitions + OTLP.partitions


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Stack]:
    with Stack(prepared(tmp_path_factory.mktemp("killed")), broker="kafka") as running:
        yield running


def test_kills_during_a_replay_lose_and_double_nothing(stack: Stack, tmp_path: Path) -> None:
    chance = random.Random(7)
    workers = [LiveWorker(stack, tmp_path / f"{n}.log") for n in range(2)]
    kills = 0
    try:
        with Traffic(stack, records_per_s=RECORDS_PER_S) as traffic:
            while kills < KILLS:
                slot = kills % 2
                victim = workers[slot]
                # Most are killed at work, some while they start or join.
                if chance.random() < 0.8:
                    victim.wait_for("batch_done")
                time.sleep(chance.random() * 0.4)
                victim.kill()
                kills += 1
                if kills < KILLS:
                    workers[slot] = LiveWorker(stack, tmp_path / f"{slot}-{kills}.log")
        report = verified(stack.data_dir)
    finally:
        for worker in workers:
            worker.kill()
    assert report["ok"], report
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert report["kafka_events"] == traffic.events
    assert report["raw_events"] + report["dead_letters"] == traffic.events


def test_a_frozen_worker_that_wakes_up_after_losing_its_partitions_does_no_harm(
    stack: Stack, tmp_path: Path
) -> None:
    with LiveWorker(stack, tmp_path / "zombie.log") as zombie:
        with Traffic(stack, records_per_s=RECORDS_PER_S, seed=1):
            zombie.wait_for("batch_done", 2)
            zombie.freeze()
            with LiveWorker(stack, tmp_path / "heir.log") as heir:
                heir.wait_for("batch_done", 3)
                zombie.thaw()
                wait_until(
                    lambda: len(zombie.events("partition_assigned")) > PARTITIONS, 60, "a rejoin"
                )
                heir.wait_for("batch_done", len(heir.events("batch_done")) + 2)
        report = verified(stack.data_dir)
    assert report["ok"], report


def test_sigterm_finishes_the_batches_in_hand_and_the_next_worker_shows_that_it_is_well(
    stack: Stack, tmp_path: Path
) -> None:
    patient = {
        "TOKENTIDE_BATCH_AGE_MS": "600000",
        "TOKENTIDE_DRAIN_S": "60",
        "TOKENTIDE_SESSION_TIMEOUT_MS": "30000",
    }
    with (
        LiveWorker(stack, tmp_path / "w.log", **patient) as worker,
        Traffic(stack, records_per_s=RECORDS_PER_S, seed=2),
    ):
        worker.wait_for("partition_assigned", PARTITIONS)
        port = worker.wait_for("http_listening")["port"]
        # Records wait in memory: no batch is due for ten minutes.
        wait_until(lambda: buffered_bytes(port) > 0, 60, "a record in memory")
        assert worker.stop(timeout_s=120) == 0
    drained = [event for event in worker.events("batch_done") if event["reason"] == "drain"]
    assert drained
    with LiveWorker(stack, tmp_path / "next.log") as following:
        shows_its_health_and_its_metrics(stack, following)
        assert verified(stack.data_dir)["ok"]


@in_thorough  # test_everything_dies.py kills ClickHouse, too, among all others
def test_an_outage_of_clickhouse_is_waited_out(stack: Stack, tmp_path: Path) -> None:
    with LiveWorker(stack, tmp_path / "w.log") as worker:
        with Traffic(stack, records_per_s=RECORDS_PER_S, seed=3):
            worker.wait_for("batch_done", 2)
            assert stack._clickhouse is not None
            stack._clickhouse.kill()  # the stack starts it again, on the same port
            worker.wait_for("step_failed")
            done = len(worker.events("batch_done"))
            worker.wait_for("batch_done", done + 4)
        assert verified(stack.data_dir)["ok"]


def shows_its_health_and_its_metrics(stack: Stack, worker: LiveWorker) -> None:
    port = worker.wait_for("http_listening")["port"]
    with Traffic(stack, records_per_s=RECORDS_PER_S, seed=4):
        worker.wait_for("batch_done", 3)
        wait_until(lambda: answer(port, "readyz")[0] == 200, 60, "ready")
        assert answer(port, "healthz") == (200, '{"status": "ok", "problems": []}')
        wait_until(lambda: "tokentide_ingest_lag_records{" in answer(port, "metrics")[1], 60, "lag")
    text = answer(port, "metrics")[1]
    for name in (
        'tokentide_ingest_events_total{type="request"}',
        "tokentide_ingest_batch_events_bucket",
        'tokentide_ingest_step_seconds_bucket{le="0.1",step="insert_windows_10s"}',
        "tokentide_ingest_delay_seconds_count",
        "tokentide_ingest_watermark_seconds",
        'tokentide_ingest_position{partition="0"}',
    ):
        assert name in text, name


def buffered_bytes(port: int) -> float:
    found = re.findall(
        r"^tokentide_ingest_buffer_bytes{.*} (.+)$", answer(port, "metrics")[1], re.MULTILINE
    )
    return sum(map(float, found))


def answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()
