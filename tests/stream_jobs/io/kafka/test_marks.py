"""Marks over a real broker: where logs end is asked truly, and every partition hears a mark."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.io.kafka.log_ends import LogEnds
from tokentide_jobs.io.kafka.publisher import KafkaPublisher
from tokentide_schemas.topics import EVENTS, WINDOWS_TOPIC

pytestmark = pytest.mark.integration

WIDE = replace(WINDOWS_TOPIC, partitions=4)
"""As installations of before have it."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    started = choose_broker("tansu", tmp_path_factory.mktemp("tansu"))
    started.start()
    yield started
    started.stop()


async def test_a_mark_stands_in_every_partition_of_the_topic_of_deltas(broker: Broker) -> None:
    bootstrap = broker.bootstrap
    await ensure_topics(bootstrap, [EVENTS, WIDE])
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        batch = producer.create_batch()
        for _ in range(3):
            batch.append(key=None, value=b"{}", timestamp=None)
        await (await producer.send_batch(batch, EVENTS.name, partition=2))
    ends, publisher = LogEnds(bootstrap, [EVENTS.name]), None
    await ends.start()
    publisher = KafkaPublisher(bootstrap, asyncio.get_running_loop())
    await publisher.start()
    try:
        found = await ends.ask([(EVENTS.name, 1), (EVENTS.name, 2)])
        assert found == {(EVENTS.name, 1): 0, (EVENTS.name, 2): 3}
        assert ends.partitions() == {EVENTS.name: 4}
        log = LogPartition("log", EVENTS.name, 2)
        mark = ProgressMark(
            log=log, position=3, log_end=3, arrived_us=5, max_event_us=None, at_us=6,
            sources=ends.partitions(),
        )  # fmt: skip
        await publisher.publish_marks([mark])
    finally:
        await publisher.stop()
        await ends.stop()
    for number in range(WIDE.partitions):
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            consumer.assign([TopicPartition(WIDE.name, number)])
            await consumer.seek_to_beginning()
            record = await asyncio.wait_for(consumer.getone(), 60)
        assert dict(record.headers) == {
            "schema": b"progress.v1", "log_id": b"log", "topic": EVENTS.name.encode(),
            "partition": b"2",
        }  # fmt: skip
        assert ProgressMark.from_json(log, record.value) == mark
