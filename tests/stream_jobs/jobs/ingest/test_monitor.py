"""What the monitor says of a real log: lag in records and seconds, and a topic made again."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from faust.types import TP

from tests.stream_jobs.jobs.ingest.test_partition import LIMITS, Room, room, until
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_jobs.io.kafka.clients import admin_client
from tokentide_jobs.jobs.ingest.agent import IngestJob
from tokentide_jobs.jobs.ingest.monitor import Monitor
from tokentide_jobs.jobs.ingest.observer import IngestObserver
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.watchdog import STUCK_EXIT_CODE, Watchdog
from tokentide_jobs.settings import Settings
from tokentide_schemas.topics import EVENTS

NO_BROKER = "127.0.0.1:1"


class Watched:
    """A job with one real partition, its monitor, and a watchdog whose clock stands still."""

    def __init__(self, bootstrap: str, topic_ids: dict[str, str], around: Room) -> None:
        self.now_s = 0.0
        self.exit_codes: list[int] = []
        self.metrics = Metrics()
        self.watchdog = Watchdog(10, lambda: self.now_s, self.exit_codes.append)
        settings = Settings.from_env({"TOKENTIDE_KAFKA_BOOTSTRAP": bootstrap})
        self.health = Health(clock_s=lambda: self.now_s)
        self.health.starting("")
        observer = IngestObserver(self.metrics, self.health, self.watchdog)
        job = IngestJob(settings, {}, around.writer, observer, self.health)
        log = around.partition.log
        job.partitions[TP(log.topic, log.partition)] = around.partition
        self.monitor = Monitor(settings, topic_ids, job, self.metrics, observer, self.watchdog)

    def gauge(self, name: str) -> float:
        """Return the value of a gauge of the one partition."""
        start = f"tokentide_ingest_{name}{{"
        lines = self.metrics.exposition().decode().splitlines()
        [value] = [line.rsplit(" ", 1)[1] for line in lines if line.startswith(start)]
        return float(value)

    def is_stuck(self) -> bool:
        """Return whether the watchdog would end the process by now."""
        self.watchdog.beat()
        self.watchdog.check()
        return bool(self.exit_codes)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    started = choose_broker("tansu", tmp_path_factory.mktemp("tansu"))
    started.start()
    yield started
    started.stop()


@asynccontextmanager
async def watched(broker: Broker, records: int) -> AsyncIterator[tuple[Watched, Room]]:
    """Yield a partition at the beginning of a log, whose store does not answer."""
    spec = replace(EVENTS, name=f"monitored.{uuid4()}", partitions=1)
    await ensure_topics(broker.bootstrap, [spec])
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=False)
    await producer.start()
    for _ in range(records):
        await producer.send_and_wait(spec.name, b"{}", partition=0)
    await producer.stop()
    async with room(limits=replace(LIMITS, buffer_bytes=100_000)) as around:
        around.flush.gate.clear()
        around.partition.log = replace(around.partition.log, topic=spec.name)
        topic_ids = {spec.name: await topic_log_id(broker.bootstrap, spec.name)}
        yield Watched(broker.bootstrap, topic_ids, around), around


async def offer(around: Room, offsets: range, age_s: float) -> None:
    stamp_ms = round((time.time() - age_s) * 1000)
    for offset in offsets:
        await around.partition.offer(Record(0, offset, stamp_ms, b"{}"))


@pytest.mark.integration
async def test_lag_is_what_the_log_holds_and_the_store_does_not(broker: Broker) -> None:
    async with watched(broker, records=7) as (seen, around):
        await seen.monitor.look()
        assert (seen.gauge("position"), seen.gauge("lag_records")) == (0, 7)
        await offer(around, range(3), age_s=60)
        await until(lambda: around.partition.is_writing)
        await seen.monitor.look()
        # What was fetched is not stored yet.
        assert seen.gauge("lag_records") == 7
        around.flush.gate.set()
        await until(lambda: around.notes.acked == 3)
        await seen.monitor.look()
        assert (seen.gauge("position"), seen.gauge("lag_records")) == (3, 4)
        await offer(around, range(3, 7), age_s=60)
        await until(lambda: around.notes.acked == 7)
        await seen.monitor.look()
        assert (seen.gauge("position"), seen.gauge("lag_records")) == (7, 0)


@pytest.mark.integration
async def test_lag_in_seconds_is_the_age_of_the_oldest_record_not_stored(broker: Broker) -> None:
    async with watched(broker, records=4) as (seen, around):
        await seen.monitor.look()
        assert seen.gauge("lag_seconds") == 0, (
            "the age of a record that was not fetched is not known"
        )
        await offer(around, range(1), age_s=90)
        await offer(around, range(1, 2), age_s=5)
        await seen.monitor.look()
        assert 90 <= seen.gauge("lag_seconds") < 120
        around.flush.gate.set()
        await offer(around, range(2, 4), age_s=5)
        await until(lambda: around.notes.acked == 4)
        await seen.monitor.look()
        assert seen.gauge("lag_seconds") == 0


@pytest.mark.integration
async def test_waiting_records_are_no_progress_and_an_empty_log_is(broker: Broker) -> None:
    async with watched(broker, records=2) as (seen, around):
        seen.now_s = 11.0
        await seen.monitor.look()
        assert seen.is_stuck()
        around.flush.gate.set()
        await offer(around, range(2), age_s=0)
        await until(lambda: around.notes.acked == 2)
        seen.exit_codes.clear()
        seen.health.kafka_silent("no route")
        seen.now_s += 60
        assert seen.health.ready()[0] is False
        await seen.monitor.look()
        assert seen.health.ready()[0] is True
        assert not seen.is_stuck()


@pytest.mark.integration
async def test_a_topic_made_anew_ends_the_worker_at_once(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def end(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", end)
    async with watched(broker, records=1) as (seen, around):
        await seen.monitor.look()
        topic = around.partition.log.topic
        async with admin_client(broker.bootstrap) as admin:
            await admin.delete_topics([topic])
        await ensure_topics(broker.bootstrap, [replace(EVENTS, name=topic, partitions=1)])
        with pytest.raises(SystemExit) as ended, caplog.at_level(logging.CRITICAL):
            await seen.monitor.look()
        assert ended.value.code == STUCK_EXIT_CODE
        assert "topic_recreated" in caplog.text


async def test_a_broker_that_is_away_explains_a_standstill(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with room() as around:
        seen = Watched(NO_BROKER, {around.partition.log.topic: "an id"}, around)
        seen.now_s = 11.0
        assert await seen.monitor.look() is False
        assert not seen.is_stuck()
        assert "kafka_not_answering" in caplog.text


async def test_a_broker_that_stays_away_makes_the_worker_unready_until_it_is_back() -> None:
    async with room() as around:
        seen = Watched(NO_BROKER, {around.partition.log.topic: "an id"}, around)
        await seen.monitor.look()
        assert seen.health.ready()[0] is True
        seen.now_s = 20.0
        await seen.monitor.look()
        is_ready, report = seen.health.ready()
        assert is_ready is False
        assert "Kafka has not answered for 20 s: " in report["waits_for"][0]
        assert NO_BROKER in report["waits_for"][0]
