"""Reference: aiokafka and orjson alone, over frames: consume, decode each event, do nothing.

`python -m bench.references.plain_orjson BOOTSTRAP TOPIC EVENTS`
"""

from __future__ import annotations

import asyncio
import sys

import orjson
from aiokafka import AIOKafkaConsumer

from bench.references.protocol import Meter


async def main(bootstrap: str, topic: str, total: int) -> None:
    """Consume `total` events and print the figures."""
    meter = Meter(total)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        done = False
        while not done:
            batches = await consumer.getmany(timeout_ms=1000, max_records=500)
            for records in batches.values():
                for record in records:
                    decoded = [orjson.loads(line) for line in record.value.split(b"\n")]
                    done = meter.add(len(decoded))
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
