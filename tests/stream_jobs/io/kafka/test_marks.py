"""What is published over a real broker: marks in every partition, changes for detection."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.stream_jobs.core.decide.recorded_stream import RULES, recorded
from tests.stream_jobs.core.merge.delta_records import MINUTE_US, NOON_US
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.core.change.change_rows import CHANGES
from tokentide_jobs.core.decide.alert_findings import alert_findings
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.outcome.outcome import Outcome, process
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.io.kafka.log_ends import LogEnds
from tokentide_jobs.io.kafka.publisher import KafkaPublisher
from tokentide_schemas.topics import EVENTS, WINDOWS_TOPIC

pytestmark = pytest.mark.integration

WIDE = replace(WINDOWS_TOPIC, partitions=4)
"""As installations of before have it."""
DEPLOYED_US = NOON_US + 4 * MINUTE_US + 30_000_000
"""A minute and a half before the recorded stream fails."""


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


def _batch_with_a_deploy() -> Outcome:
    """Return what ingest makes of a deploy that a service reports."""
    cards = compile_cards()
    event = {
        "type": "change", "event_id": str(uuid.uuid4()), "started_at_us": DEPLOYED_US,
        "service": "chat", "kind": "deploy", "subject": "chat", "to_version": "43",
    }  # fmt: skip
    intent = Intent(
        LogPartition("log-2", EVENTS.name, 0),
        0,
        1,
        cards.price_version,
        0,
        DEPLOYED_US + 1,
        DEPLOYED_US,
        "test",
    )
    return process([Record(0, 0, 0, json.dumps(event).encode())], intent, cards)


async def test_a_deploy_comes_from_the_event_through_kafka_into_the_alert(broker: Broker) -> None:
    outcome = _batch_with_a_deploy()
    await ensure_topics(broker.bootstrap, [WIDE])
    publisher = KafkaPublisher(broker.bootstrap, asyncio.get_running_loop())
    await publisher.start()
    try:
        rows = outcome.changes().to_arrow(compat_level=pl.CompatLevel.oldest())
        await asyncio.to_thread(publisher.publish_deltas, CHANGES, rows, outcome.intent)
    finally:
        await publisher.stop()
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
        consumer.assign([TopicPartition(WIDE.name, number) for number in range(WIDE.partitions)])
        await consumer.seek_to_beginning()
        async with asyncio.timeout(60):
            while dict((message := await consumer.getone()).headers)["schema"] != b"changes.v1":
                pass
    deploy = DeltaRecord(0, 0, DEPLOYED_US, tuple(message.headers), message.value)

    stream = [one for one in recorded() if dict(one.headers)["schema"] != b"changes.v1"]
    place = next(n for n, one in enumerate(stream) if one.stamp_us > DEPLOYED_US)
    found = Decider(RULES, ()).take([*stream[:place], deploy, *stream[place:]])
    fired = [
        one
        for one in alert_findings(found)
        if (one.key, one.metric, one.change) == ("service chat", "error_ratio", "fires")
    ]
    assert {str(cause) for one in fired for cause in one.causes} == {
        "deploy of chat to 43, 1 min before it began"
    }
