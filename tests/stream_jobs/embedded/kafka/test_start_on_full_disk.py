"""A broker that crashed and starts while the disk takes nothing: no record and no topic is lost."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.chaos.live import wait_until
from tests.chaos.small_disk import SmallDisk, small_disk
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.errors import StackError
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_schemas.topics import EVENTS

pytestmark = pytest.mark.integration

RECORDS = [b"%d" % number for number in range(40)]
EVENTS_0 = TopicPartition(EVENTS.name, 0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 400, files=400) as mounted:
        yield mounted


@pytest.fixture
def crashed(disk: SmallDisk) -> Iterator[Broker]:
    """Yield a broker that took `RECORDS` and was killed."""
    broker = choose_broker("kafka", disk.path / "data")
    broker.start()
    try:
        asyncio.run(ensure_topics(broker.bootstrap))
        asyncio.run(send(broker.bootstrap))
        broker.kill()
        yield broker
    finally:
        broker.kill()


async def send(bootstrap: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in RECORDS:
            await producer.send_and_wait(EVENTS.name, value, partition=0)


async def read(bootstrap: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    consumer.assign([EVENTS_0])
    async with consumer:
        found = await consumer.getmany(EVENTS_0, timeout_ms=500)
    return [bytes(record.value) for record in found.get(EVENTS_0, [])]


def test_a_start_that_a_full_disk_refuses_cuts_no_log_and_the_next_one_finds_all(
    disk: SmallDisk, crashed: Broker
) -> None:
    disk.fill_with_files()
    with pytest.raises(StackError, match="Kafka did not start"):
        crashed.start()
    disk.free()
    crashed.start()

    asyncio.run(topic_log_id(crashed.bootstrap, EVENTS.name))  # the topic is known
    wait_until(lambda: asyncio.run(read(crashed.bootstrap)) == RECORDS, 120, "all records")


def test_a_broker_that_has_forgotten_its_topics_does_not_start(
    disk: SmallDisk, crashed: Broker
) -> None:
    log = disk.path / "data" / "kafka" / "log"
    shutil.rmtree(log / "__cluster_metadata-0")

    with pytest.raises(StackError, match=f"does not know {EVENTS.name} any more") as refused:
        crashed.start()

    assert not crashed.is_running
    (kept,) = log.glob(f"{EVENTS.name}-0.*-stray")
    assert str(kept) in str(refused.value)
