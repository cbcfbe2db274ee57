"""Fills a topic for a measurement: the same events as frames or one record each.

Returns once the broker has acknowledged every record, so that a consumer never waits for input.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def fill(
    bootstrap: str, topic: str, values: list[bytes], partitions: int = 4, *, keyed: bool = False
) -> None:
    """Create `topic` where it is missing and send `values` over its partitions in turn.

    `keyed` gives each record one of 64 keys: Quix Streams leaves records without a key out of its
    windows.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type="lz4",
        linger_ms=20,
        max_batch_size=256 * 1024,
        max_request_size=4 * 1024 * 1024,
    )
    await producer.start()
    try:
        pending: list[asyncio.Future[object]] = []
        for number, value in enumerate(values):
            key = b"series-%d" % (number % 64) if keyed else None
            sent = await producer.send(topic, value, key=key, partition=number % partitions)
            pending.append(sent)
            if len(pending) >= 5_000:
                await asyncio.gather(*pending)
                pending.clear()
        await asyncio.gather(*pending)
    finally:
        await producer.stop()
