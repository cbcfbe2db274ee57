"""The producer against real brokers: delivery, absence, outage and exit."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tokentide import Telemetry
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_schemas import EVENT_ADAPTER
from tokentide_schemas.topics import TopicSpec

pytestmark = pytest.mark.integration


@dataclass
class Arrived:
    partition: int
    offset: int
    headers: dict[str, bytes]
    key: bytes | None
    events: list[dict[str, Any]]


class Log:
    """A broker and one topic of the test's own."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.broker = broker
        self.topic = topic

    def create(self) -> None:
        asyncio.run(ensure_topics(self.broker.bootstrap, [TopicSpec(self.topic, "none", "event")]))

    def producer(self, **given: Any) -> Telemetry:
        return Telemetry(
            bootstrap=self.broker.bootstrap, topic=self.topic, service="s", linger_ms=5, **given
        )

    def read(self) -> list[Arrived]:
        return asyncio.run(self._read())

    def requests(self, tenant: str = "") -> list[dict[str, Any]]:
        """Every request event on the log, in the order of the producer's frames."""
        frames = sorted(self.read(), key=lambda record: int(record.headers["frame"]))
        return [
            event
            for frame in frames
            for event in frame.events
            if event["type"] == "request" and tenant in ("", event.get("tenant"))
        ]

    async def _read(self) -> list[Arrived]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(self.topic, number) for number in range(4)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Arrived] = []
            async with asyncio.timeout(20):
                while len(found) < sum(ends.values()):
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += [arrived(record) for record in records]
            return found
        finally:
            await consumer.stop()


def arrived(record: Any) -> Arrived:
    lines = record.value.split(b"\n")
    return Arrived(
        record.partition,
        record.offset,
        dict(record.headers),
        record.key,
        [orjson.loads(line) for line in lines],
    )


@pytest.fixture
def log(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Log]:
    name = "".join(c if c.isalnum() else "-" for c in request.node.originalname)
    log = Log(broker, name)
    if broker.exit_code is not None:
        broker.start()
    log.create()
    yield log


def until(is_true: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def emit(telemetry: Telemetry, count: int, tenant: str = "t") -> None:
    for number in range(count):
        telemetry.emit(
            {
                "type": "request",
                "provider": "openai",
                "operation": "chat",
                "request_model": "m",
                "status": "ok",
                "duration_ms": 1.0,
                "input_tokens": number,
                "output_tokens": 1,
                "tenant": tenant,
            }
        )


@pytest.mark.parametrize("compression", ["zstd", "lz4", "gzip", "none"])
def test_events_arrive_once_valid_in_order_and_with_headers(log: Log, compression: str) -> None:
    telemetry = log.producer(compression=compression)
    for _ in range(6):
        emit(telemetry, 1200)
        assert telemetry.flush(20)
    telemetry.close(10)
    mine = [
        r for r in log.read() if r.headers["producer"] == telemetry.stats().producer_id.encode()
    ]
    events = [e for r in sorted(mine, key=lambda r: int(r.headers["frame"])) for e in r.events]
    assert [event["seq"] for event in events] == list(range(7201))
    for event in events[::97]:
        EVENT_ADAPTER.validate_python(event)
    assert {r.headers["schema"] for r in mine} == {b"tokentide.event/1"}
    assert {r.key for r in mine} == {None}
    assert max(len(r.events) for r in mine) == 500
    stats = telemetry.stats()
    assert (stats.delivered, stats.delivered_frames) == (7201, len(mine))
    assert len({r.partition for r in mine}) == 4, "a single producer fills every partition"
    assert_frames_ascend(mine)


def assert_frames_ascend(records: list[Arrived]) -> None:
    for partition in {record.partition for record in records}:
        of_partition = [r for r in records if r.partition == partition]
        numbers = [int(r.headers["frame"]) for r in sorted(of_partition, key=lambda r: r.offset)]
        assert numbers == sorted(set(numbers))


def lines_of_aiokafka(caplog: pytest.LogCaptureFixture, *, of_ours: bool) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("aiokafka") and (record.threadName == "tokentide") is of_ours
    ]


def test_a_broker_without_producer_ids_is_logged_once_and_used(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aiokafka")
    telemetry = log.producer()
    emit(telemetry, 10)
    assert telemetry.flush(20)
    telemetry.close(5)
    warnings = [message for message in caplog.messages if "idempotence" in message]
    assert len(warnings) == (0 if log.broker.capabilities.idempotent_producer else 1)
    assert telemetry.stats().delivered == 11
    assert lines_of_aiokafka(caplog, of_ours=True) == []


def test_a_broker_that_appears_late_gets_everything(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aiokafka")
    log.broker.stop()
    telemetry = log.producer()
    emit(telemetry, 3000)
    # Events that are just being taken from the queue are in no count for a moment.
    until(lambda: telemetry.stats().retries >= 2 and telemetry.stats().queued == 3000)
    stats = telemetry.stats()
    assert (stats.connected, stats.dropped_total) == (False, 0)
    assert "Unable to bootstrap" in stats.last_error
    log.broker.start()
    log.create()
    assert telemetry.flush(30)
    telemetry.close(5)
    assert [event["seq"] for event in log.requests()] == list(range(3000))
    assert len([m for m in caplog.messages if "is retried" in m]) == 1
    assert lines_of_aiokafka(caplog, of_ours=True) == []
    assert lines_of_aiokafka(caplog, of_ours=False), "the host's own clients keep their lines"


def test_a_missing_topic_is_waited_for_and_named(broker: Broker) -> None:
    if broker.kind == "tansu":
        pytest.skip("Tansu creates a topic when it is asked about it")
    log = Log(broker, "made-later")
    telemetry = log.producer()
    emit(telemetry, 10)
    until(lambda: "made-later" in telemetry.stats().last_error)
    log.create()
    assert telemetry.flush(30)
    telemetry.close(5)
    assert len(log.requests()) == 10


def test_an_outage_in_mid_stream_loses_nothing_and_keeps_the_order(log: Log) -> None:
    telemetry = log.producer()
    stop = threading.Event()

    def stream() -> None:
        while not stop.wait(0.005):
            emit(telemetry, 5, tenant="stream")

    emitter = threading.Thread(target=stream)
    emitter.start()
    until(lambda: telemetry.stats().delivered > 300)
    if not log.broker.capabilities.persistent:
        stop.set()
        emitter.join()
        assert telemetry.flush(20)
    log.broker.kill()
    emit(telemetry, 1000, tenant="outage")
    until(lambda: not telemetry.stats().connected)
    log.broker.start()
    log.create()
    stop.set()
    emitter.join()
    assert telemetry.flush(60)
    telemetry.close(5)
    stats = telemetry.stats()
    assert (stats.dropped_total, stats.failed, stats.queued) == (0, 0, 0)
    records = log.read()
    assert_frames_ascend(records)
    if log.broker.capabilities.persistent:
        seqs = [e["seq"] for r in records for e in r.events]
        assert sorted(seqs) == list(range(stats.emitted)), "what arrived is what was delivered"
        assert stats.delivered == stats.emitted
    assert [e["input_tokens"] for e in log.requests("outage")] == list(range(1000))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_script_that_emits_and_ends_at_once_delivers(log: Log, host: str) -> None:
    # A name has to be resolved, and at exit there are no more threads to do it.
    port = log.broker.bootstrap.rpartition(":")[2]
    script = (
        "import sys, tokentide\n"
        "tokentide.Telemetry(bootstrap=sys.argv[1], topic=sys.argv[2], exit_timeout_s=20)"
        ".change('deploy', sys.argv[3])\n"
    )
    # The producer is dropped at once, so this is also the end of an unreferenced one.
    command = [sys.executable, "-c", script, f"{host}:{port}", log.topic, host]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "not delivered" not in done.stderr
    subjects = [e.get("subject") for r in log.read() for e in r.events]
    assert subjects.count(host) == 1


def test_a_message_larger_than_the_topic_allows_fails_alone(log: Log) -> None:
    if log.broker.kind == "tansu":
        pytest.skip("Tansu takes messages of any size")
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=log.broker.bootstrap)
        await admin.start()
        narrow = NewTopic("narrow", 4, 1, topic_configs={"max.message.bytes": "4000"})
        await admin.create_topics([narrow])
        await admin.close()

    asyncio.run(create())
    narrow = Log(log.broker, "narrow")
    telemetry = narrow.producer(compression="none", frame_bytes=3000)
    emit(telemetry, 20, tenant="small")
    telemetry.emit({"type": "request", "tenant": "large", "unknown": "x" * 9000})
    emit(telemetry, 20, tenant="small")
    assert telemetry.flush(30)
    telemetry.close(5)
    stats = telemetry.stats()
    assert (stats.failed, stats.delivered, stats.queued) == (1, 41, 0)
    assert "MessageSizeTooLarge" in stats.last_error
    assert len(narrow.requests("small")) == 40
    assert narrow.requests("large") == []
