"""The same behaviour is asked of both embedded brokers; differences are what they declare."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError
from faust.types import TP

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.errors import ConfigError, LogReplaced
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_jobs.io.kafka.log_identity import LogIdentity
from tokentide_jobs.io.kafka.offsets import end_offsets, offset_ranges
from tokentide_jobs.jobs.runtime.faust_app import build_app
from tokentide_jobs.settings import Settings
from tokentide_schemas.topics import EVENTS, TOPICS, TopicSpec

pytestmark = pytest.mark.integration

CODECS = (None, "gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module", params=["kafka", "tansu"])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    started = choose_broker(request.param, tmp_path_factory.mktemp(request.param))
    started.start()
    yield started
    started.stop()


def spec(partitions: int = 1) -> TopicSpec:
    return replace(EVENTS, name=f"test.{uuid4()}", partitions=partitions)


@asynccontextmanager
async def producing(broker: Broker, codec: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, acks="all", compression_type=codec
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def consuming(
    broker: Broker, topic: str, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # Tansu lets a group wait for half a session at first, for two when a member comes back.
        session_timeout_ms=1_000,
        heartbeat_interval_ms=300,
        rebalance_timeout_ms=1_000,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read(consumer: AIOKafkaConsumer, count: int) -> list[bytes]:
    values: list[bytes] = []
    async with asyncio.timeout(60):
        while len(values) < count:
            values.append((await consumer.getone()).value)
    return values


async def test_every_topic_of_the_registry_is_created_once_and_found_equal_after_that(
    broker: Broker,
) -> None:
    first = await ensure_topics(broker.bootstrap)
    second = await ensure_topics(broker.bootstrap)

    assert set(first.created) == {wanted.name for wanted in TOPICS}
    assert second.created == ()
    assert second.differing == ()


async def test_a_topic_that_differs_from_the_registry_is_reported_and_left_alone(
    broker: Broker,
) -> None:
    wide = spec(partitions=2)
    await ensure_topics(broker.bootstrap, [wide])

    report = await ensure_topics(
        broker.bootstrap, [replace(wide, partitions=3, retention_ms=wide.retention_ms + 1)]
    )

    differing = {difference.setting: difference for difference in report.differing}
    assert (differing["partitions"].wanted, differing["partitions"].found) == ("3", "2")
    assert ("retention.ms" in differing) == broker.capabilities.retention
    assert len(await end_offsets(broker.bootstrap, wide.name)) == 2


@pytest.mark.parametrize("codec", CODECS)
async def test_records_of_every_compression_come_back_as_they_were_sent(
    broker: Broker, codec: str | None
) -> None:
    topic = spec()
    await ensure_topics(broker.bootstrap, [topic])
    values = [b'{"n":%d}\n' % number * 50 for number in range(20)]

    async with producing(broker, codec) as producer:
        for value in values:
            await producer.send(topic.name, value)
        await producer.flush()

    async with consuming(broker, topic.name) as consumer:
        assert await read(consumer, len(values)) == values
    assert await end_offsets(broker.bootstrap, topic.name) == {0: len(values)}


async def test_a_frame_as_large_as_the_registry_allows_is_accepted(broker: Broker) -> None:
    topic = spec()
    await ensure_topics(broker.bootstrap, [topic])
    value = b"x" * (3 * 1024 * 1024)
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, max_request_size=topic.max_message_bytes
    )
    await producer.start()
    try:
        await producer.send_and_wait(topic.name, value)
    finally:
        await producer.stop()

    assert await end_offsets(broker.bootstrap, topic.name) == {0: 1}


async def test_a_group_goes_on_where_it_committed(broker: Broker) -> None:
    topic, group = spec(), f"group-{uuid4()}"
    await ensure_topics(broker.bootstrap, [topic])
    async with producing(broker) as producer:
        for number in range(6):
            await producer.send_and_wait(topic.name, b"%d" % number)

    async with consuming(broker, topic.name, group) as consumer:
        assert await read(consumer, 2) == [b"0", b"1"]
        await consumer.commit({TopicPartition(topic.name, 0): 2})

    async with consuming(broker, topic.name, group) as consumer:
        assert await read(consumer, 4) == [b"2", b"3", b"4", b"5"]


async def test_an_idempotent_producer_works_exactly_where_it_is_declared(broker: Broker) -> None:
    topic = spec()
    await ensure_topics(broker.bootstrap, [topic])
    # A broker that does not know how may leave the question unanswered for ever.
    answer_s = 60 if broker.capabilities.idempotent_producer else 3
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap,
        enable_idempotence=True,
        request_timeout_ms=answer_s * 1_000,
    )

    try:
        async with asyncio.timeout(answer_s + 2):
            await producer.start()
            await producer.send_and_wait(topic.name, b"once")
        works = True
    except (KafkaError, TimeoutError):
        works = False
    finally:
        await producer.stop()

    assert works == broker.capabilities.idempotent_producer


async def test_records_can_be_removed_exactly_where_retention_is_declared(broker: Broker) -> None:
    topic = spec()
    await ensure_topics(broker.bootstrap, [topic])
    async with producing(broker) as producer:
        for number in range(5):
            await producer.send_and_wait(topic.name, b"%d" % number)

    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic.name, 0): RecordsToDelete(3)})
    except (KafkaError, ValueError):
        assert not broker.capabilities.retention
    finally:
        await admin.close()

    kept_from = 3 if broker.capabilities.retention else 0
    ranges = await offset_ranges(broker.bootstrap, topic.name)
    assert ranges[0].start == kept_from


async def test_a_topic_made_anew_is_another_log(broker: Broker) -> None:
    topic = spec()
    await ensure_topics(broker.bootstrap, [topic])
    first = await topic_log_id(broker.bootstrap, topic.name)
    assert await topic_log_id(broker.bootstrap, topic.name) == first
    identity = LogIdentity(broker.bootstrap, {topic.name: first}, asyncio.get_running_loop())
    log = LogPartition(first, topic.name, 0)
    await asyncio.to_thread(identity.confirm, log)

    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.delete_topics([topic.name])
    await admin.close()
    async with asyncio.timeout(60):
        # Deletion is answered before it is done.
        while topic.name not in (await ensure_topics(broker.bootstrap, [topic])).created:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    second = await topic_log_id(broker.bootstrap, topic.name)
    assert second != first
    with pytest.raises(LogReplaced, match=f"its id was {first} and is {second}"):
        await asyncio.to_thread(identity.confirm, log)
    await identity.close()


async def test_an_unknown_topic_is_named_and_not_created_by_asking(broker: Broker) -> None:
    name = spec().name

    with pytest.raises(ConfigError, match=name):
        await topic_log_id(broker.bootstrap, name)

    assert name in (await ensure_topics(broker.bootstrap, [replace(EVENTS, name=name)])).created


def test_starting_a_running_broker_again_changes_nothing(broker: Broker) -> None:
    address = broker.bootstrap

    assert broker.start() == broker.start()
    assert broker.bootstrap == address


def test_everything_a_broker_writes_is_below_its_data_directory(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory: Path = next(tmp_path_factory.getbasetemp().glob(f"{broker.kind}*"))

    assert (directory / "logs" / f"{broker.kind}.log").exists()
    assert (directory / "kafka" / "log").exists() == broker.capabilities.persistent


async def test_a_topic_that_was_not_known_when_a_group_began_is_soon_given_to_it(
    broker: Broker,
) -> None:
    if broker.kind == "tansu":
        pytest.skip("Tansu creates a topic when it is asked about it")

    async def nowhere(_assigned: set[TP]) -> Mapping[TP, int]:
        return {}

    loop = asyncio.get_running_loop()
    app = build_app(Settings.from_env({}), nowhere, lambda: None, loop)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap,
        group_id=f"group-{uuid4()}",
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
        metadata_max_age_ms=app.conf.consumer_metadata_max_age_ms,
    )
    topic = spec(2)
    await consumer.start()
    try:
        consumer.subscribe([topic.name])
        # No partition, no member; aiokafka has no event for either.
        while consumer._coordinator._group_subscription is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert consumer.assignment() == set()
        await ensure_topics(broker.bootstrap, [topic])
        async with asyncio.timeout(120):  # it would be five minutes by default
            while len(consumer.assignment()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        await consumer.stop()
