"""The limit: aiokafka fetch, the fastest column decode, an Arrow stream in memory; nothing else.

No validation, no prices, no windows, no ledger, no store: what is left cannot be saved.
`python -m bench.references.limit BOOTSTRAP TOPIC EVENTS`
"""

from __future__ import annotations

import asyncio
import io
import os
import sys

os.environ["POLARS_MAX_THREADS"] = "1"

import orjson
import polars as pl
from aiokafka import AIOKafkaConsumer

from bench.references.protocol import Meter
from tokentide_jobs.core.decode.columns import parse_schema

BATCH_EVENTS = 50_000
"""Events of one batch: the worker's own default."""


def present_columns(value: bytes) -> dict[str, pl.DataType]:
    """Return the contract's columns that the first event has: absent ones would cost time."""
    present = orjson.loads(value.split(b"\n")[0])
    return {name: dtype for name, dtype in parse_schema().items() if name in present}


def decode_and_write(values: list[bytes]) -> int:
    """Decode frames into columns, write them as an Arrow stream, return the number of events."""
    frame = pl.read_ndjson(io.BytesIO(b"\n".join(values)), schema=present_columns(values[0]))
    frame.write_ipc_stream(io.BytesIO())
    return frame.height


async def main(bootstrap: str, topic: str, total: int) -> None:
    """Consume `total` events and print the figures."""
    meter = Meter(total)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    held: list[bytes] = []
    held_events = 0
    seen = 0
    try:
        done = False
        while not done:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    held.append(record.value)
                    held_events += record.value.count(b"\n") + 1
            if held_events >= BATCH_EVENTS or seen + held_events >= total:
                events = await asyncio.to_thread(decode_and_write, held)
                seen += events
                done = meter.add(events)
                held, held_events = [], 0
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
