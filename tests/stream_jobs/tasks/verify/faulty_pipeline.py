"""A stack that has ingested some events, and what tests of it do to its tables and put back."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver.client import Client

from tests.places import ROOT
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


def report_of(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = pipeline.run("verify", "--json", *options)
    return code, json.loads(capsys.readouterr().out)


def kinds(report: dict[str, Any]) -> set[str]:
    return {fault["kind"] for fault in report["mismatches"]}


def follow(pipeline: Pipeline, remedy: dict[str, Any]) -> None:
    assert pipeline.run(*remedy["command"].removeprefix("tokentide ").split()) == 0


def documented(name: str) -> str:
    docs = (ROOT / "docs" / "operations.md").read_text()
    block = docs.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
    return block.partition("```sql")[2].partition("```")[0].strip()


def place_of(fault: dict[str, Any]) -> dict[str, str | int]:
    """Return the batch that a fault names."""
    found = re.fullmatch(r"(.+)/(\d+) \[(\d+), (\d+)\) of log (.+)", fault["where"])
    assert found is not None, fault
    topic, partition, start, end, log_id = found.groups()
    numbers = {"partition": int(partition), "start": int(start), "end": int(end)}
    return {"log_id": log_id, "topic": topic, **numbers}


def one_place(client: Client) -> str:
    row = client.query(
        "SELECT _partition, _offset, _idx FROM raw_requests ORDER BY _partition, _offset, _idx "
        "LIMIT 1 OFFSET 20"
    ).result_rows[0]
    return "_partition = {} AND _offset = {} AND _idx = {}".format(*row)
