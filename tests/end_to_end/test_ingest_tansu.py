"""The light broker forgets all at each start; ClickHouse keeps everything ever sent, once."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tests.chaos.live import LiveWorker, record_value, verified
from tokentide_jobs.core.records import split_record
from tokentide_jobs.embedded.stack import Stack
from tokentide_jobs.io.clickhouse import ClickHouse

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

STARTS = 2


async def send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


def test_offsets_that_begin_again_are_new_records_because_the_log_has_a_new_name(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    sent = 0
    for start in range(STARTS):
        with Stack(tmp_path / "data", broker="tansu") as stack:
            values = [record_value(chance) for _ in range(40)]
            sent += sum(len(split_record(value)) for value in values)
            asyncio.run(send(stack.info.kafka, stack.info.events_topic, values))
            log_path = tmp_path / f"{start}.log"
            with LiveWorker(stack, log_path, TOKENTIDE_SESSION_TIMEOUT_MS="3000"):
                report = verified(stack)
            assert report["ok"], json.dumps(report)
            store = ClickHouse(stack.info.clickhouse_url, "tokentide")
            (row,) = store.rows(
                "SELECT sum(events + dead_letters), count(DISTINCT log_id) "
                "FROM tokentide.ingest_positions"
            )
            store.close()
            assert tuple(row) == (sent, start + 1)
