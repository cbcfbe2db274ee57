"""A stack that has ingested some events, and what tests of it do to its tables and put back."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver.client import Client

from tokentide_jobs.cli.main import main
from tokentide_jobs.embedded.stack.stack import Stack

SYNC = {"mutations_sync": 1}


@dataclass(frozen=True)
class Pipeline:
    stack: Stack
    client: Client

    def run(self, *arguments: str) -> int:
        return main([*arguments, "--data-dir", str(self.stack.data_dir)])


def good(number: int) -> bytes:
    event = {
        "type": "request", "event_id": str(uuid.uuid4()), "service": "shop", "provider": "openai",
        "started_at_us": time.time_ns() // 1_000 - number * 100_000, "operation": "chat",
        "status": "ok", "request_model": "gpt-5.4-mini", "duration_ms": 10.0 + number,
        "input_tokens": 100 + number, "output_tokens": 7, "run_id": f"run-{number % 9}",
    }  # fmt: skip
    return json.dumps(event).encode()


BAD = (b'{"type": "request"', b"\xff\xfe not text", b"", b'{"type": "nonsense"}')


async def send(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


@contextmanager
def saved(client: Client, table: str, where: str) -> Iterator[None]:
    """Keep the rows of `where` and put them back, as they were, whatever happened to them."""
    name = f"saved_{table}"
    client.command(f"CREATE TABLE {name} AS {table}")
    client.command(f"INSERT INTO {name} SELECT * FROM {table} WHERE {where}")
    try:
        yield
    finally:
        client.command(f"ALTER TABLE {table} DELETE WHERE {where}", settings=SYNC)
        client.command(
            f"INSERT INTO {table} SELECT * FROM {name}",
            settings={"insert_deduplicate": 0, "insert_deduplication_token": str(uuid.uuid4())},
        )
        client.command(f"DROP TABLE {name} SYNC")
