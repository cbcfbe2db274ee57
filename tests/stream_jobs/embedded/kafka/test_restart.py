"""What a broker's log survives: a restart, a crash, another port; or, declared, nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tokentide_jobs.embedded.kafka import apache
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.errors import StackError
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_jobs.io.kafka.offsets import end_offsets
from tokentide_schemas.topics import EVENTS

pytestmark = pytest.mark.integration

GROUP = "restart-test"


async def send_and_commit(bootstrap: str, count: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    for number in range(count):
        await producer.send_and_wait(EVENTS.name, b"%d" % number, partition=0)
    await producer.stop()
    partition = TopicPartition(EVENTS.name, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([partition])
    await consumer.commit({partition: count})
    await consumer.stop()


async def committed(bootstrap: str) -> int:
    partition = TopicPartition(EVENTS.name, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([partition])
        # Right after a start the group's coordinator is there before it has read its own log.
        for _ in range(200):
            if (found := await consumer.committed(partition)) is not None:
                return int(found)
            await asyncio.sleep(0.1)
        raise TimeoutError("the group has no committed offset")
    finally:
        await consumer.stop()


def state(broker: Broker) -> tuple[str, int, int]:
    """Identity and end of the log, and where the group stands."""

    async def ask() -> tuple[str, int, int]:
        log_id = await topic_log_id(broker.bootstrap, EVENTS.name)
        ends = await end_offsets(broker.bootstrap, EVENTS.name)
        return log_id, ends[0], await committed(broker.bootstrap)

    return asyncio.run(ask())


def test_kafka_keeps_log_offsets_and_identity_through_stop_crash_and_a_change_of_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx16m")  # meant for other Java programs
    monkeypatch.setenv("LC_ALL", "C")
    home = tmp_path / "dätä, new"
    broker = choose_broker("kafka", home)
    broker.start()
    try:
        asyncio.run(ensure_topics(broker.bootstrap))
        asyncio.run(send_and_commit(broker.bootstrap, 7))
        before = state(broker)
        assert before[1:] == (7, 7)

        address = broker.bootstrap
        broker.kill()
        broker.start()
        assert broker.bootstrap == address, "a supervised restart keeps the address"
        assert state(broker) == before

        broker.stop()
        elsewhere = choose_broker("kafka", home)
        elsewhere.start()
        try:
            assert elsewhere.bootstrap != address
            assert state(elsewhere) == before
            assert asyncio.run(ensure_topics(elsewhere.bootstrap)).created == ()
        finally:
            elsewhere.stop()
    finally:
        broker.stop()


def test_tansu_begins_another_log_at_every_start(tmp_path: Path) -> None:
    broker = choose_broker("tansu", tmp_path)
    log_ids = set()
    for _start in range(3):
        broker.start()
        try:
            asyncio.run(ensure_topics(broker.bootstrap))
            log_ids.add(asyncio.run(topic_log_id(broker.bootstrap, EVENTS.name)))
            assert asyncio.run(end_offsets(broker.bootstrap, EVENTS.name))[0] == 0
            asyncio.run(send_and_commit(broker.bootstrap, 3))
        finally:
            broker.stop()

    assert len(log_ids) == 3


def test_a_machine_too_busy_to_format_a_log_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = choose_broker("kafka", tmp_path)
    monkeypatch.setattr(apache, "_START_DEADLINE_S", 0.01)
    with pytest.raises(
        StackError, match=r"has not formatted .* within 0\.01 s: the machine is very"
    ):
        broker.start()
